//! The little protobuf that kubectl posts: access reviews (also in JSON) and new namespaces.

use serde_json::{Value, json};

/// What a client asks whether it may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) namespace: String,
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) name: String,
}

impl Question {
    /// From a SelfSubjectAccessReview in JSON.
    pub(crate) fn from_json(review: &Value) -> Self {
        let attributes = &review["spec"]["resourceAttributes"];
        let text = |field: &str| attributes[field].as_str().unwrap_or("").to_owned();
        Self {
            namespace: text("namespace"),
            verb: text("verb"),
            group: text("group"),
            version: text("version"),
            resource: text("resource"),
            subresource: text("subresource"),
            name: text("name"),
        }
    }

    /// From a SelfSubjectAccessReview in the Kubernetes protobuf envelope (`k8s\0`, then `runtime.Unknown`); `None` when it is not one.
    pub(crate) fn from_protobuf(body: &[u8]) -> Option<Self> {
        let unknown = body.strip_prefix(b"k8s\0")?;
        let review = field(unknown, 2)?;
        let Some(attributes) = field(review, 2).and_then(|spec| field(spec, 1)) else { return Some(Self::default()) };
        let text = |number| field(attributes, number).and_then(|b| std::str::from_utf8(b).ok()).unwrap_or("").to_owned();
        Some(Self {
            namespace: text(1),
            verb: text(2),
            group: text(3),
            version: text(4),
            resource: text(5),
            subresource: text(6),
            name: text(7),
        })
    }

    /// The answered review.
    pub(crate) fn answer(&self, allowed: bool) -> Value {
        json!({
            "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
            "spec": { "resourceAttributes": {
                "namespace": self.namespace, "verb": self.verb, "group": self.group, "version": self.version,
                "resource": self.resource, "subresource": self.subresource, "name": self.name,
            } },
            "status": { "allowed": allowed, "reason": if allowed { "RBAC: allowed by RoleBinding \"sim-operator\"" } else { "" } },
        })
    }
}

/// The Namespace that kubectl posts in protobuf; of its metadata only the name is read.
pub(crate) fn namespace_from_protobuf(body: &[u8]) -> Option<Value> {
    let unknown = body.strip_prefix(b"k8s\0")?;
    let kind = field(unknown, 1).and_then(|meta| field(meta, 2))?;
    let name = field(unknown, 2).and_then(|object| field(object, 1)).and_then(|metadata| field(metadata, 1))?;
    let name = std::str::from_utf8(name).ok()?;
    (kind == b"Namespace").then(|| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }))
}

/// The last length-delimited field of this number in a protobuf message.
fn field(message: &[u8], number: u64) -> Option<&[u8]> {
    let (mut rest, mut found) = (message, None);
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match tag & 7 {
            0 => {
                varint(&mut rest)?;
            }
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let value = rest.get(..length)?;
                rest = rest.get(length..)?;
                if tag >> 3 == number {
                    found = Some(value);
                }
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    found
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimited(number: u8, value: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(value.len()).unwrap_or(0)];
        out.extend_from_slice(value);
        out
    }

    #[test]
    fn a_protobuf_review_is_read() {
        let attributes =
            [delimited(1, b"shop"), delimited(2, b"patch"), delimited(3, b"networking.istio.io"), delimited(5, b"virtualservices")]
                .concat();
        let review = delimited(2, &delimited(1, &attributes));
        let body = [b"k8s\0".to_vec(), delimited(1, &delimited(2, b"SelfSubjectAccessReview")), delimited(2, &review)].concat();
        let question = Question::from_protobuf(&body);
        assert_eq!(
            question.map(|q| (q.namespace, q.verb, q.group, q.resource)),
            Some(("shop".into(), "patch".into(), "networking.istio.io".into(), "virtualservices".into()))
        );
    }

    #[test]
    fn cut_or_foreign_bytes_are_not_a_review() {
        assert_eq!(Question::from_protobuf(b"{}"), None);
        assert_eq!(Question::from_protobuf(b"k8s\0\x12\x7f\x01"), None);
    }
}
