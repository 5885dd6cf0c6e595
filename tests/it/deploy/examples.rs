//! The configurations in the examples are ones that onetap accepts.

use super::read;
use crate::support::program::{onetap, outcome};

/// What `check-config` says to these variables.
fn checked(args: &[&str], variables: &[(String, String)]) -> (Option<i32>, String) {
    let mut command = onetap(&[&["check-config"], args].concat());
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let output = outcome(&mut command);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// Asserts that a setting has this value.
#[track_caller]
fn assert_set(said: &str, flag: &str, value: &str) {
    let line = said.lines().find(|line| line.split(' ').next() == Some(flag)).unwrap();
    assert!(line.ends_with(&format!(" {value}")), "{line}");
}

/// Lines such as `ONETAP_STRICT: "true"` or `ONETAP_LISTEN=0.0.0.0:8080 \`.
fn variables(text: &str, between: &str) -> Vec<(String, String)> {
    let lines =
        text.lines().map(|line| line.trim().trim_start_matches("ENV ").trim_end_matches(" \\"));
    let pairs = lines
        .filter(|line| line.starts_with("ONETAP_"))
        .filter_map(|line| line.split_once(between));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

#[test]
fn the_compose_file() {
    let given = variables(&read("deploy/compose.yaml"), ": ");
    assert_eq!(given.len(), 4, "{given:?}");
    // The image sets this one.
    let listen = [("ONETAP_LISTEN".to_owned(), "0.0.0.0:8080".to_owned())];
    let (code, said) = checked(&[], &[&given[..], &listen].concat());
    assert_eq!(code, Some(0), "{said}");
    assert_set(&said, "--store", "redis://redis:6379/0");
    assert_set(&said, "--strict", "true");
    // Prometheus reads the figures where they are, and the host's port leads to the callers' address.
    assert_set(&said, "--admin-listen", "0.0.0.0:8081");
    assert!(read("deploy/prometheus/prometheus.yaml").contains("targets: [onetap:8081]\n"));
    assert!(read("deploy/compose.yaml").contains("ports: [\"127.0.0.1:8080:8080\"]\n"));
}

/// The image does not decide that no authentication is needed: the operator does.
#[test]
fn the_image() {
    let folder = tempfile::tempdir().unwrap();
    let here = |text: String| text.replace("/data/", &format!("{}/", folder.path().display()));
    let given = variables(&read("deploy/Dockerfile"), "=");
    let mut given: Vec<_> = given.into_iter().map(|(name, value)| (name, here(value))).collect();
    assert_eq!(given.len(), 2, "{given:?}");
    let (code, said) = checked(&[], &given);
    assert!(code == Some(64) && said.contains("--insecure-no-auth"), "{said}");
    given.push(("ONETAP_INSECURE_NO_AUTH".into(), "true".into()));
    let (code, said) = checked(&[], &given);
    assert_eq!(code, Some(0), "{said}");
    assert_set(&said, "--listen", "0.0.0.0:8080");
}

/// A pod has the variables of the image, too. Empty ones count as unset.
#[test]
fn the_manifests() {
    let text = read("deploy/kubernetes/onetap.yaml");
    let (_, rest) = text.split_once("  onetap.toml: |\n").unwrap();
    let lines = rest.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let toml: String = lines.map(|line| format!("{}\n", line.trim_start())).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("onetap.toml");
    std::fs::write(&file, toml).unwrap();
    let mut given = variables(&read("deploy/Dockerfile"), "=");
    for (name, value) in &mut given {
        assert!(text.contains(&format!("{{ name: {name}, value: \"\" }}")), "{name}");
        value.clear();
    }
    let (code, said) = checked(&["--config", file.to_str().unwrap()], &given);
    assert_eq!(code, Some(0), "{said}");
    assert_set(&said, "--store", "redis://onetap-redis:6379/0");
    assert_set(&said, "--strict", "true");
    assert_set(&said, "--allowed-host", "forum.example, onetap");
    // Probes and Prometheus ask the address that has what they want.
    assert_set(&said, "--listen", "0.0.0.0:8080");
    assert_set(&said, "--admin-listen", "0.0.0.0:8081");
    for line in [
        "ports: [{ name: http, containerPort: 8080 }, { name: admin, containerPort: 8081 }]",
        "httpGet: { path: /healthz, port: http }",
        "httpGet: { path: /readyz, port: admin }",
        "prometheus.io/port: \"8081\"",
    ] {
        assert!(text.lines().any(|found| found.trim() == line), "{line}");
    }
}
