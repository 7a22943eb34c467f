//! Get and list: selectors, pages, versions of the API, metadata only.

use super::cluster::{Now, text};
use super::events;
use super::resources::{Kind, Resource, Target};
use super::status::Status;
use super::store::{Key, Object, Objects, Store, key};
use super::table::{self, Include};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut as _, Bytes, BytesMut};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// What a client takes of each object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// All of it.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// A row of a table.
    Row(Include),
}

/// How objects are to be shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    resource: &'static Resource,
    /// Served under another group or version than stored.
    converted: Option<&'static str>,
    form: Form,
}

impl Shape {
    /// The first form of an `Accept` header that is served here. Nothing but JSON is: a client that takes nothing else is refused.
    pub(crate) fn new(target: &Target, accept: &str, include: Option<&str>) -> Result<Self, Status> {
        let resource = target.resource;
        let stored = resource.kind.resource();
        let version = resource.versions.iter().find(|v| **v == target.version).copied().unwrap_or("v1");
        let same = stored.group == resource.group && stored.versions[0] == version;
        let form = if accept.trim().is_empty() { Some(Form::Whole) } else { accept.split(',').find_map(|clause| form(clause, include)) };
        let form = form.ok_or_else(Status::not_acceptable)?;
        Ok(Self { resource, converted: (!same).then_some(version), form })
    }

    /// The object's JSON as this client wants it.
    pub(crate) fn show(&self, object: &Object, now: Now) -> Bytes {
        if self.converted.is_none() && self.form == Form::Whole {
            return object.json.clone();
        }
        Bytes::from(self.convert(object.value(), now).to_string())
    }

    /// As [`Self::show`] for a tree. What a row is made of does not depend on the version asked for.
    pub(crate) fn convert(&self, mut object: Value, now: Now) -> Value {
        if let Form::Row(include) = self.form {
            let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
            return table::table(self.resource.kind, &metadata, vec![table::row(self.resource.kind, &object, include, now.wall)]);
        }
        if let Some(version) = self.converted {
            if self.resource.group == "events.k8s.io" {
                object = events::from_core(&object);
            }
            object["apiVersion"] = Value::from(self.resource.api_version(version));
        }
        if self.form == Form::Metadata {
            return json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] });
        }
        object
    }

    /// Kind and version of a list.
    fn list_head(&self, version: &str) -> (String, String) {
        if self.form == Form::Metadata {
            return ("PartialObjectMetadataList".into(), "meta.k8s.io/v1".into());
        }
        (format!("{}List", self.resource.kind_name), self.resource.api_version(self.converted.unwrap_or(version)))
    }

    /// Kind and version of one object that has nothing but metadata (a bookmark).
    pub(crate) fn bare(&self, metadata: &Value) -> Value {
        let (kind, version) = match self.form {
            Form::Row(_) => return table::table(self.resource.kind, metadata, Vec::new()),
            Form::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
            Form::Whole => (self.resource.kind_name, self.resource.api_version(self.converted.unwrap_or(self.resource.versions[0]))),
        };
        json!({ "kind": kind, "apiVersion": version, "metadata": metadata })
    }
}

/// The form that one clause of an `Accept` header names; `None` when it is not served.
fn form(clause: &str, include: Option<&str>) -> Option<Form> {
    let mut parts = clause.split(';').map(str::trim);
    let json = matches!(parts.next(), Some("application/json" | "application/*" | "*/*"));
    let mut shape = None;
    let mut meta = true;
    for part in parts {
        match part.split_once('=') {
            Some(("as", name)) => shape = Some(name),
            Some(("g", group)) => meta &= group == "meta.k8s.io",
            Some(("v", version)) => meta &= version == "v1",
            _ => {}
        }
    }
    match shape {
        _ if !json => None,
        None => Some(Form::Whole),
        Some("PartialObjectMetadata" | "PartialObjectMetadataList") if meta => Some(Form::Metadata),
        Some("Table") if meta => Some(Form::Row(Include::parse(include))),
        Some(_) => None,
    }
}

#[derive(Debug, Clone)]
enum LabelTest {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

/// Which objects a client asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    namespace: Option<String>,
    name: Option<String>,
    labels: Vec<(String, LabelTest)>,
    /// Fields of an Event's object, under their stored names.
    fields: Vec<(String, String, bool)>,
}

impl Selection {
    /// Reads namespace, `labelSelector` and `fieldSelector`.
    pub(crate) fn parse(target: &Target, query: &HashMap<String, String>) -> Result<Self, Status> {
        let mut selection = Self { namespace: target.namespace.clone(), name: target.name.clone(), ..Self::by_labels(query)? };
        for part in query.get("fieldSelector").map_or("", String::as_str).split(',').filter(|part| !part.is_empty()) {
            let (field, value, equal) = match (part.split_once("!="), part.split_once("==").or_else(|| part.split_once('='))) {
                (Some((field, value)), _) => (field, value, false),
                (None, Some((field, value))) => (field, value, true),
                (None, None) => return Err(Status::bad_request(format!("invalid selector: '{part}'; can't understand '{part}'"))),
            };
            match (field, equal) {
                ("metadata.name", true) => selection.name = Some(value.to_owned()),
                ("metadata.namespace", true) if selection.namespace.as_deref().is_none_or(|n| n == value) => {
                    selection.namespace = Some(value.to_owned());
                }
                (field, equal) => {
                    let stored = stored_field(target.resource.kind, field)
                        .ok_or_else(|| Status::bad_request(format!("field label not supported: {field}")))?;
                    selection.fields.push((stored, value.to_owned(), equal));
                }
            }
        }
        Ok(selection)
    }

    /// Labels alone.
    pub(crate) fn by_labels(query: &HashMap<String, String>) -> Result<Self, Status> {
        let mut selection = Self::default();
        for part in split_selector(query.get("labelSelector").map_or("", String::as_str)) {
            let parsed = label_test(&part).ok_or_else(|| Status::bad_request(format!("unable to parse requirement: {part:?}")))?;
            selection.labels.push(parsed);
        }
        Ok(selection)
    }

    pub(crate) fn takes_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels.iter().all(|(label, test)| match (labels.get(label), test) {
            (Some(value), LabelTest::In(values)) => values.contains(value),
            (None, LabelTest::In(_) | LabelTest::Exists) | (Some(_), LabelTest::Missing) => false,
            (Some(value), LabelTest::NotIn(values)) => !values.contains(value),
            (None, LabelTest::NotIn(_) | LabelTest::Missing) | (Some(_), LabelTest::Exists) => true,
        })
    }

    pub(crate) fn takes(&self, object: &Object) -> bool {
        let named =
            self.namespace.as_deref().is_none_or(|n| *n == *object.key.0) && self.name.as_deref().is_none_or(|n| *n == *object.key.1);
        let fields = || {
            self.fields.is_empty() || {
                let value = object.value();
                self.fields.iter().all(|(pointer, wanted, equal)| {
                    let is = value.pointer(pointer).and_then(Value::as_str).unwrap_or("");
                    (is == wanted) == *equal
                })
            }
        };
        named && self.takes_labels(&object.labels) && fields()
    }
}

/// Where a selectable field is stored.
fn stored_field(kind: Kind, field: &str) -> Option<String> {
    if matches!(field, "metadata.name" | "metadata.namespace") {
        return Some(format!("/{}", field.replace('.', "/")));
    }
    match kind {
        Kind::Event => {
            let field = field.replace("regarding.", "involvedObject.").replace("reportingController", "reportingComponent");
            let known = field.starts_with("involvedObject.") || matches!(field.as_str(), "reason" | "type" | "reportingComponent");
            known.then(|| format!("/{}", field.replace('.', "/")))
        }
        Kind::Secret if field == "type" => Some("/type".to_owned()),
        Kind::ReplicaSet if field == "status.replicas" => Some("/status/replicas".to_owned()),
        Kind::Node if field == "spec.unschedulable" => Some("/spec/unschedulable".to_owned()),
        Kind::Namespace if field == "status.phase" => Some("/status/phase".to_owned()),
        Kind::Pod if matches!(field, "status.phase" | "spec.nodeName" | "status.podIP" | "spec.restartPolicy") => {
            Some(format!("/{}", field.replace('.', "/")))
        }
        Kind::Namespace if field == "status.phase" => Some("/status/phase".into()),
        _ => None,
    }
}

/// Splits at commas that are not inside parentheses.
fn split_selector(text: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn label_test(part: &str) -> Option<(String, LabelTest)> {
    let part = part.trim();
    let set =
        |rest: &str| Some(rest.trim().strip_prefix('(')?.strip_suffix(')')?.split(',').map(|v| v.trim().to_owned()).collect::<Vec<_>>());
    if let Some((label, rest)) = part.split_once(" notin ") {
        return Some((label.trim().to_owned(), LabelTest::NotIn(set(rest)?)));
    }
    if let Some((label, rest)) = part.split_once(" in ") {
        return Some((label.trim().to_owned(), LabelTest::In(set(rest)?)));
    }
    if let Some((label, value)) = part.split_once("!=") {
        return Some((label.trim().to_owned(), LabelTest::NotIn(vec![value.trim().to_owned()])));
    }
    if let Some((label, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some((label.trim().to_owned(), LabelTest::In(vec![value.trim().to_owned()])));
    }
    if let Some(label) = part.strip_prefix('!') {
        return Some((label.trim().to_owned(), LabelTest::Missing));
    }
    (!part.contains(char::is_whitespace)).then(|| (part.to_owned(), LabelTest::Exists))
}

/// One object as readers see it.
pub(crate) fn get(store: &Store, target: &Target) -> Result<Arc<Object>, Status> {
    let name = target.name.as_deref().unwrap_or("");
    let at = key(target.namespace.as_deref().unwrap_or(""), name);
    store.visible(target.resource.kind).0.get(&at).cloned().ok_or_else(|| Status::not_found(target.resource, name))
}

/// A page to be built: what it needs of the store, so that building happens without holding it.
pub(crate) struct Page {
    objects: Objects,
    version: u64,
    /// Begin after this key.
    after: Option<Key>,
    limit: usize,
    /// The open list that later pages come from; 0 for an inconsistent continuation.
    list: u64,
}

/// The first or a later page of a list.
pub(crate) fn open_page(store: &mut Store, now: Now, target: &Target, query: &HashMap<String, String>) -> Result<Page, Status> {
    let kind = target.resource.kind;
    let limit = query.get("limit").and_then(|l| l.parse::<usize>().ok()).filter(|l| *l > 0).unwrap_or(usize::MAX);
    let Some(token) = query.get("continue").filter(|token| !token.is_empty()) else {
        let (objects, version) = store.visible(kind);
        let list = if limit < objects.len() { store.open_list(Arc::clone(&objects), version, now.t) } else { 0 };
        return Ok(Page { objects, version, after: None, limit, list });
    };
    let (list, after) = decode(token).ok_or_else(|| Status::bad_request("continue key is not valid"))?;
    if list == 0 {
        let (objects, version) = store.visible(kind);
        let list = if limit < objects.len() { store.open_list(Arc::clone(&objects), version, now.t) } else { 0 };
        return Ok(Page { objects, version, after: Some(after), limit, list });
    }
    match store.list(list, now.t) {
        Some((objects, version)) => Ok(Page { objects, version, after: Some(after), limit, list }),
        None => Err(Status::page_expired(encode(0, &after))),
    }
}

/// The list's JSON.
pub(crate) fn render(page: &Page, selection: &Selection, shape: &Shape, version: &str, now: Now) -> Bytes {
    let start = page.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
    let mut items = BytesMut::new();
    let (mut taken, mut last, mut more, mut remaining) = (0_usize, None, false, 0_u64);
    for (at, object) in page.objects.range((start, Bound::Unbounded)).filter(|(_, object)| selection.takes(object)) {
        if taken == page.limit {
            more = true;
            remaining += 1;
            continue;
        }
        if taken > 0 {
            items.put_u8(b',');
        }
        match shape.form {
            Form::Row(include) => {
                let row = table::row(shape.resource.kind, &object.value(), include, now.wall);
                items.extend_from_slice(row.to_string().as_bytes());
            }
            _ => items.extend_from_slice(&shape.show(object, now)),
        }
        taken += 1;
        last = Some(at.clone());
    }
    let mut metadata = json!({ "resourceVersion": page.version.to_string() });
    if let (true, Some(last)) = (more, last) {
        metadata["continue"] = Value::from(encode(page.list, &last));
        // As in a real cluster, a selection has no cheap count.
        if selection.labels.is_empty() && selection.fields.is_empty() {
            metadata["remainingItemCount"] = Value::from(remaining);
        }
    }
    let head = if let Form::Row(_) = shape.form {
        let columns = Value::from(table::definitions(shape.resource.kind));
        format!("{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{metadata},\"columnDefinitions\":{columns},\"rows\":[")
    } else {
        let (kind, api_version) = shape.list_head(version);
        format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":[")
    };
    let mut body = BytesMut::with_capacity(items.len() + head.len() + 8);
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&items);
    body.extend_from_slice(b"]}\n");
    body.freeze()
}

fn encode(list: u64, after: &Key) -> String {
    URL_SAFE_NO_PAD.encode(json!({ "v": "meta.k8s.io/v1", "list": list, "ns": &*after.0, "start": &*after.1 }).to_string())
}

fn decode(token: &str) -> Option<(u64, Key)> {
    let value: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    Some((value["list"].as_u64()?, key(value["ns"].as_str()?, text(&value["start"]))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn takes(selector: &str, labels: &[(&str, &str)]) -> bool {
        let target = Target::parse("/api/v1/namespaces/shop/pods").unwrap();
        let query = HashMap::from([("labelSelector".to_owned(), selector.to_owned())]);
        let selection = Selection::parse(&target, &query).unwrap();
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        selection.takes(&Object { key: key("shop", "p"), uid: Arc::from("u"), version: 1, labels, json: Bytes::new() })
    }

    #[test]
    fn label_selectors_of_every_form() {
        let labels = [("app", "checkout"), ("version", "canary")];
        for yes in [
            "app=checkout",
            "app==checkout,version!=stable",
            "version in (stable, canary)",
            "app",
            "!team",
            "team notin (x)",
            "version in (canary),app=checkout",
        ] {
            assert!(takes(yes, &labels), "{yes}");
        }
        for no in ["app=cart", "version!=canary", "version notin (canary)", "!app", "team", "app=checkout,version=stable"] {
            assert!(!takes(no, &labels), "{no}");
        }
    }

    #[test]
    fn the_first_form_that_is_served_is_taken() {
        let target = Target::parse("/api/v1/namespaces/shop/pods").unwrap();
        let form = |accept: &str| Shape::new(&target, accept, None).map(|shape| shape.form).ok();
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(table), Some(Form::Row(Include::Metadata)));
        assert_eq!(form("application/vnd.kubernetes.protobuf,application/json"), Some(Form::Whole));
        assert_eq!(form("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"), Some(Form::Metadata));
        assert_eq!(form("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v9"), None);
        assert_eq!(form("application/vnd.kubernetes.protobuf"), None);
    }

    #[test]
    fn page_tokens_round_trip_and_garbage_is_refused() {
        assert_eq!(decode(&encode(7, &key("shop", "p"))), Some((7, key("shop", "p"))));
        assert_eq!(decode("garbage"), None);
    }
}
