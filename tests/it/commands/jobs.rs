//! `onetap jobs` and `onetap erase`: which service they ask.

use std::fs;
use std::process::{Command, Output};

use super::cli::{assert_usage, onetap};
use crate::support::program::Program;

/// Runs it elsewhere, so that the service of the same test can go on.
async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn without_an_address_they_ask_the_service_of_the_same_settings() {
    let service = Program::start(&["--store", "memory:", "--base-path", "/r"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("onetap.toml");
    let listen = service.address.to_string();
    fs::write(&file, format!("[server]\nlisten = '{listen}'\nbase_path = '/r'\n")).unwrap();
    let file = file.to_str().unwrap();
    let erased = output(onetap(&["erase", "42", "--wait", "--config", file])).await;
    assert!(erased.status.success(), "{erased:?}");
    let mut by_variables = onetap(&["jobs", "list"]);
    by_variables.env("ONETAP_LISTEN", &listen).env("ONETAP_BASE_PATH", "/r");
    let url = format!("http://{listen}/r/");
    let everywhere = format!("0.0.0.0:{}", service.address.port());
    for command in [
        onetap(&["jobs", "list", "--config", file]),
        onetap(&["jobs", "list", "--listen", &listen, "--base-path", "/r"]),
        onetap(&["jobs", "list", "--url", &url]),
        // An address goes before the settings.
        onetap(&["jobs", "list", "--url", &url, "--config", "no such file"]),
        by_variables,
        // What a start would refuse is no matter to who asks.
        onetap(&["jobs", "list", "--listen", &everywhere, "--base-path", "/r"]),
    ] {
        let listed = output(command).await;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.status.success() && text.contains("erase"), "{listed:?}");
    }
}

#[test]
fn a_service_that_they_cannot_find_is_exit_code_64() {
    for (listen, words) in [
        ("unix:/tmp/x", "over TCP only; name the service by --url"),
        ("127.0.0.1:0", "port 0 is any port"),
        ("nowhere", "`nowhere` is not IP:PORT"),
    ] {
        for command in [&["jobs", "list"][..], &["erase", "42"]] {
            let output = onetap(command).args(["--listen", listen]).output().unwrap();
            assert_usage(&output, 64, &["--listen", words]);
        }
    }
}

#[tokio::test]
async fn erasing_again_wants_receipts() {
    let service = Program::start(&["--store", "memory:"]);
    let url = format!("http://{}", service.address);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("receipts.ndjson");
    let again = async || {
        let from = ["erase", "--wait", "--from", file.to_str().unwrap(), "--url", &url];
        output(onetap(&from)).await
    };
    let row = r#"{"post_id":"0192f0c1-2345-7890-abcd-ef0123456789","user_id":"7"}"#;
    fs::write(&file, format!("{row}\n")).unwrap();
    assert_usage(&again().await, 65, &["it has no receipt", "`onetap jobs receipt` prints them"]);
    fs::write(&file, "a letter\n").unwrap();
    assert_usage(&again().await, 65, &["receipts.ndjson:1: it is no line of a receipt"]);
    // So are the receipts of a service that has run no job.
    fs::write(&file, "").unwrap();
    let nothing = again().await;
    assert_eq!(nothing.status.code(), Some(0));
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(said.contains("none of its 0 receipts is of an erasure"), "{said}");

    // All are erased, whether or not anybody can read so.
    let mut erase = onetap(&["erase", "42", "43", "--wait", "--url", &url]);
    erase.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    assert_usage(&output(erase).await, 69, &["standard output: No space left on device"]);
    let receipts = output(onetap(&["jobs", "receipt", "--url", &url])).await;
    fs::write(&file, &receipts.stdout).unwrap();
    let erased = again().await;
    assert_eq!(String::from_utf8_lossy(&erased.stdout).matches("  erase  ").count(), 2);
    let said = String::from_utf8_lossy(&erased.stdout).into_owned();
    assert!(erased.status.success() && said.contains(r#""user_id":"42""#), "{erased:?}");
}
