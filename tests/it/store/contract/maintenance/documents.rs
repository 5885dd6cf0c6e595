//! Law 23: documents.

use onetap::store::{Document, DocumentWrite, MAX_DOCUMENT_BYTES};

use super::*;

fn write(name: &str, expected: u64, body: Option<&[u8]>) -> DocumentWrite {
    let body = body.map(<[u8]>::to_vec);
    DocumentWrite { name: name.to_owned(), expected, body, keep: None }
}

pub(super) async fn law_23_a_document_has_the_expected_version(store: AnyStore) {
    let read = async |name: &str| store.document(name, soon()).await.unwrap();
    let put = async |write| store.write_document(write, soon()).await.unwrap();
    let version = |version, body: &[u8]| Some(Document { version, body: body.to_vec() });
    assert_eq!(read("jobs/a").await, None);
    assert!(!put(write("jobs/a", 1, Some(b"early"))).await, "there is none yet");
    assert!(put(write("jobs/a", 0, Some(b"\0\xff first"))).await);
    assert_eq!(read("jobs/a").await, version(1, b"\0\xff first"));
    for expected in [0, 2] {
        assert!(!put(write("jobs/a", expected, Some(b"no"))).await);
        assert!(!put(write("jobs/a", expected, None)).await);
    }
    assert!(put(write("jobs/a", 1, Some(b""))).await);
    assert_eq!(read("jobs/a").await, version(2, b""));
    // A name that begins like it is another one.
    for name in ["jobs", "jobs/", "jobs/a/b", "jobs/a-", &"z".repeat(100)] {
        assert_eq!(read(name).await, None, "{name}");
        assert!(put(write(name, 0, Some(name.as_bytes()))).await);
    }
    assert_eq!(read("jobs/a").await, version(2, b""));
    assert!(put(write("jobs/a", 2, None)).await);
    assert_eq!(read("jobs/a").await, None);
    assert!(put(write("jobs/a", 0, None)).await, "it is as wanted already");
    assert!(put(write("jobs/a", 0, Some(b"new"))).await);
    assert_eq!(read("jobs/a").await, version(1, b"new"));
    assert_eq!(read("jobs/a/b").await, version(1, b"jobs/a/b"));
    let large = vec![7; MAX_DOCUMENT_BYTES];
    assert!(put(write("large", 0, Some(&large))).await);
    assert_eq!(read("large").await, version(1, &large));
    let beyond = vec![7; MAX_DOCUMENT_BYTES + 1];
    let odd = ["", "A", "a b", "a_b", "ä", "a:b", &"z".repeat(101)];
    let odd = odd.map(|name| write(name, 0, Some(b"x")));
    for refused in odd.into_iter().chain([write("large", 1, Some(&beyond))]) {
        assert!(store.write_document(refused, soon()).await.is_err());
    }
    assert_eq!(read("large").await, version(1, &large));
    let past = Deadline(Instant::now().checked_sub(Duration::from_millis(1)).unwrap());
    assert!(store.write_document(write("late", 0, Some(b"x")), past).await.is_err());
    assert_eq!(read("late").await, None);
}

pub(super) async fn law_23_of_all_writers_of_a_version_one_wins(store: AnyStore) {
    let writers: Vec<_> = (0..8_u8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut won = 0;
                for expected in 0..20 {
                    let body = [writer, u8::try_from(expected).unwrap()];
                    let write = write("count", expected, Some(&body));
                    if store.write_document(write, soon()).await.unwrap() {
                        won += 1;
                        let found = store.document("count", soon()).await.unwrap().unwrap();
                        assert!(found.version > expected);
                        assert!(found.version > expected + 1 || found.body == body);
                    }
                    // Until another one has written this version.
                    while store
                        .document("count", soon())
                        .await
                        .unwrap()
                        .is_none_or(|it| it.version <= expected)
                    {
                        tokio::task::yield_now().await;
                    }
                }
                won
            })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        won += writer.await.unwrap();
    }
    assert_eq!(won, 20);
    assert_eq!(store.document("count", soon()).await.unwrap().unwrap().version, 20);
}

pub(super) async fn law_23_a_document_that_expired_is_gone(store: AnyStore) {
    let (span, started) = (|millis| Some(Duration::from_millis(millis)), Instant::now());
    let brief = DocumentWrite { keep: span(30), ..write("brief", 0, Some(b"x")) };
    assert!(store.write_document(brief.clone(), soon()).await.unwrap());
    let long = DocumentWrite { keep: span(600_000), ..write("long", 0, Some(b"x")) };
    assert!(store.write_document(long, soon()).await.unwrap());
    while store.document("brief", soon()).await.unwrap().is_some() {
        assert!(started.elapsed() < Duration::from_secs(20), "it does not expire");
        tokio::task::yield_now().await;
    }
    assert!(started.elapsed() >= Duration::from_millis(29), "it expires too early");
    assert!(!store.write_document(write("brief", 1, Some(b"y")), soon()).await.unwrap());
    // A write without a time keeps it until it is deleted.
    assert!(store.write_document(brief, soon()).await.unwrap());
    let kept = store.write_document(write("brief", 1, Some(b"y")), soon()).await.unwrap();
    let version = store.document("brief", soon()).await.unwrap().map(|it| it.version);
    assert!(!kept || version == Some(2), "{version:?}");
    assert_eq!(store.document("long", soon()).await.unwrap().unwrap().version, 1);
}
