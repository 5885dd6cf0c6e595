//! The commands of docs/jobs.md do what the page says.

use std::path::Path;

use super::commands::{read, run};
use crate::support::service::Service;

const POST: &str = "0192f0c1-2345-7890-abcd-ef0123456789";

/// Runs a snippet of the page in a folder, and returns what it prints.
async fn snippet(name: &str, service: &Service, folder: &Path) -> String {
    let page = read("docs/jobs.md");
    let (_, rest) = page.split_once(&format!("<!-- snippet: {name} -->\n```")).unwrap();
    let lines = rest.split_once('\n').unwrap().1.split("```").next().unwrap();
    let lines = lines.replace("127.0.0.1:8080", &service.address.to_string());
    let program = Path::new(env!("CARGO_BIN_EXE_onetap")).parent().unwrap();
    let (program, folder) = (program.display(), folder.display());
    let output = run(format!("cd {folder}; PATH={program}:$PATH\n{lines}")).await;
    assert!(output.status.success(), "{name}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn names(service: &Service) -> Vec<String> {
    let summary = service.send("GET", &format!("/v1/posts/{POST}/reactions")).await.ok(200);
    let counted = summary["reactions"].as_array().unwrap().iter();
    counted.map(|it| it["reaction"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_jobs_page_do_what_it_says() {
    let (service, folder) = (Service::memory(), tempfile::tempdir().unwrap());
    let tap = async || {
        let path = format!("/v1/posts/{POST}/reactions/heart/users/42");
        service.send("PUT", &path).await.ok(201);
    };
    tap().await;
    let started = snippet("job-start", &service, folder.path()).await;
    assert!(started.contains(r#""kind":"rename","state":"running""#), "{started}");
    // The next job renames back. Jobs take turns, so it waits until the first has ended.
    let began = std::time::Instant::now();
    while names(&service).await != ["love"] {
        assert!(began.elapsed() < std::time::Duration::from_secs(20));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let printed = snippet("job-cli", &service, folder.path()).await;
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 4, "a start, its end, and two jobs: {printed}");
    assert!(lines[1].starts_with("done: {") && lines[1].contains(r#""removed":1"#), "{printed}");
    assert!(lines[2].contains(r#"{"from":"love","to":"heart"}"#), "{printed}");
    assert_eq!(names(&service).await, ["heart"]);

    let erased = service.send("DELETE", "/v1/users/42/reactions").await.ok(202);
    let path = format!("/v1/jobs/{}", erased["id"].as_str().unwrap());
    while service.send("GET", &path).await.ok(200)["state"] == "running" {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    snippet("job-receipt", &service, folder.path()).await;
    let receipts = std::fs::read_to_string(folder.path().join("receipts.ndjson")).unwrap();
    assert_eq!(receipts.lines().filter(|line| line.starts_with(r#"{"receipt":{"#)).count(), 3);
    // A backup from before the erasure.
    tap().await;
    let printed = snippet("job-erase", &service, folder.path()).await;
    assert!(printed.contains("erase") && printed.contains(r#""removed":1"#), "{printed}");
    assert_eq!(names(&service).await, Vec::<String>::new());
}
