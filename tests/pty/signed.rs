//! What a run's record says of the runbook's signature.

use super::demo::Demo;
use std::process::Command;

#[test]
fn a_run_keeps_who_signed_its_runbook() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        return super::left_out::left_out("signed runbooks in the cockpit", "no ssh-keygen on the PATH");
    }
    let demo = Demo::open("idle", &[]);
    let shown = |name: &str| demo.path("demo").join(name).display().to_string();
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &shown("key")]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let public = std::fs::read_to_string(shown("key.pub")).unwrap();
    std::fs::write(shown("allowed_signers"), format!("ada {public}")).unwrap();
    let config = std::fs::read_to_string(shown("config.toml")).unwrap();
    let identity = "\n[identity]\nas = \"ben\"\nkey = \"key\"\nallowed_signers = \"allowed_signers\"\n";
    std::fs::write(shown("config.toml"), format!("{config}{identity}")).unwrap();
    let playbook = include_str!("../../assets/playbooks/kubernetes-canary-mesh.yaml");
    std::fs::write(shown("x.yaml"), playbook).unwrap();
    let signed = demo.gonogo(&["sign", &shown("x.yaml")]);
    assert!(String::from_utf8_lossy(&signed.stdout).contains("x.yaml.sig: signed by ada (SHA256:"), "{signed:?}");

    let mut second = demo.cockpit(&["run", &shown("x.yaml")]);
    second.wait_text(&["signed by ada", "(SHA256:", "[ y ] start"]);
    demo.wait_guard();
    second.type_keys("y");
    second.wait_text(&["step 1/"]);
    let story = demo.story();
    assert!(story.contains("run started") && story.contains("; signed by ada (SHA256:"), "{story}");
    // Who started it is somebody else, and only says so.
    assert!(story.contains(" ben "), "{story}");
}
