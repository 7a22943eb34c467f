//! The same change by kubectl, for when the cockpit cannot.

use super::Core;
use super::route::Spot;
use crate::domain::{Action, Route};
use serde_json::{Value, json};

/// Commands, one a line. The patch tests the rule's name and both subsets, so that with a wrong place nothing moves.
pub(super) fn commands(core: &Core, action: &Action, last_known: Option<&Route>) -> Vec<String> {
    let route = &core.spec.route;
    let kubectl = kubectl(core);
    let target = format!("virtualservices.networking.istio.io {}", word(&route.virtualservice));
    let get = format!("{kubectl} get {target} -o yaml");
    let remembered = core.remembered(last_known);
    let (canary, sum) = match last_known.or(remembered.as_ref().map(|(route, _)| route)) {
        Some(known) => (known.relative(action.weight()), if known.sum() == 0 { 100 } else { known.sum() - known.others }),
        None => (u32::from(action.weight().get()), 100),
    };
    let baseline = sum.saturating_sub(canary);
    if let Some((_, spot)) = remembered {
        return vec![format!("{kubectl} patch {target} --type=json -p {}", word(&patch(core, &spot, canary, baseline).to_string())), get];
    }
    // The place of the rule is not known here: let jq find it by name and subsets.
    let rule = match &route.http {
        Some(name) => format!(".spec.http[] | select(.name == {})", json!(name)),
        None => ".spec.http[] | select((.match // []) == [])".to_owned(),
    };
    let set =
        |subset: &str, weight: u32| format!("({rule} | .route[] | select(.destination.subset == {}) | .weight) = {weight}", json!(subset));
    let program = format!("{} | {}", set(&route.canary_subset, canary), set(&route.baseline_subset, baseline));
    vec![format!("{kubectl} get {target} -o json | jq {} | {kubectl} replace -f -", word(&program)), get]
}

fn patch(core: &Core, spot: &Spot, canary: u32, baseline: u32) -> Value {
    let rule = format!("/spec/http/{}", spot.rule);
    let mut patch: Vec<Value> = spot.name.iter().map(|name| json!({"op": "test", "path": format!("{rule}/name"), "value": name})).collect();
    let sides = [(spot.canary, &core.spec.route.canary_subset, canary), (spot.baseline, &core.spec.route.baseline_subset, baseline)];
    for (at, subset, _) in sides {
        patch.push(json!({"op": "test", "path": format!("{rule}/route/{at}/destination/subset"), "value": subset}));
    }
    // `add` sets a member whether or not it is there.
    patch.extend(sides.map(|(at, _, weight)| json!({"op": "add", "path": format!("{rule}/route/{at}/weight"), "value": weight})));
    Value::Array(patch)
}

fn kubectl(core: &Core) -> String {
    let mut words = "kubectl".to_owned();
    if let Some(file) = &core.place.file {
        words = format!("{words} --kubeconfig {}", word(&file.display().to_string()));
    }
    if let Some(context) = &core.place.context {
        words = format!("{words} --context {}", word(context));
    }
    format!("{words} -n {}", word(&core.spec.namespace))
}

/// One word for a shell.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(word("eu-west-1/prod-a"), "eu-west-1/prod-a");
        assert_eq!(word("it's; rm -rf"), r"'it'\''s; rm -rf'");
        assert_eq!(word(""), "''");
    }
}
