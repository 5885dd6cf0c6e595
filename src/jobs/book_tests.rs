use super::super::look::patience;
use super::*;
use crate::store::memory::MemoryStore;
use crate::store::{Retention, StoreSource};

fn book() -> JobBook {
    let store = AnyStore::Memory(MemoryStore::new(Retention::default()));
    JobBook::new(store, Arc::default())
}

async fn start(book: &JobBook, lists: Lists) -> Result<Job, StoreError> {
    book.start(Task::Audit { repair: false }, lists, None, true, patience()).await
}

/// Fills a list with names until no other one fits.
async fn fill(book: &JobBook, list: &str) {
    let name = JobId::new(Micros(1)).to_string();
    let most = MAX_DOCUMENT_BYTES / (name.len() + 1);
    let names: Vec<String> =
        (0..most).map(|n| JobId::new(Micros(n as u64 * 1000))).map(|id| id.to_string()).collect();
    let body = Some(names.join(" ").into_bytes());
    let write = DocumentWrite { name: list.to_owned(), expected: 0, body, keep: None };
    assert!(book.store.write_document(write, patience()).await.expect("an answer"));
}

#[tokio::test]
async fn a_full_day_is_refused_before_anything_is_written() {
    let book = book();
    fill(&book, &day_of(now().0 / 86_400_000_000)).await;
    assert_eq!(start(&book, Lists::default()).await.expect_err("full"), StoreError::Overloaded);
    assert_eq!(book.open(patience()).await.expect("an answer"), []);
}

#[tokio::test]
async fn a_job_that_finds_no_room_among_the_open_ones_is_not_there() {
    let book = book();
    fill(&book, OPEN).await;
    assert_eq!(start(&book, Lists::default()).await.expect_err("full"), StoreError::Overloaded);
    let listed = book.page(None, 10, patience()).await.expect("an answer").jobs;
    assert_eq!(listed, [], "it says that it runs, and never will");
}

#[tokio::test]
async fn a_process_that_takes_no_writes_starts_no_job() {
    let source = StoreSource::Memory(MemoryStore::new(Retention::default()));
    source.gate().shut();
    let book = JobBook::new(source.attach(), Arc::default());
    let refused = start(&book, Lists::default()).await.expect_err("it has no runner");
    assert_eq!(refused, StoreError::ReadOnly(ReadOnly::Process));
    assert_eq!(book.page(None, 10, patience()).await.expect("an answer").jobs, []);
}
