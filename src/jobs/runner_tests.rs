use super::*;
use crate::store::memory::MemoryStore;
use crate::store::{Document, Retention};

async fn read(store: &AnyStore, name: &str) -> Option<Document> {
    store.document(name, patience()).await.expect("an answer")
}

async fn write(store: &AnyStore, name: &str, body: Option<Vec<u8>>) {
    let expected = read(store, name).await.map_or(0, |document| document.version);
    let write = DocumentWrite { name: name.to_owned(), expected, body, keep: None };
    assert!(store.write_document(write, patience()).await.expect("an answer"));
}

/// A runner of a store without `user-index`, whose audit has ended like this.
async fn behind_an_audit(state: State, damaged: u64) -> Runner {
    let store = AnyStore::Memory(MemoryStore::new(Retention::default()));
    if read(&store, USER_INDEX).await.is_some() {
        write(&store, USER_INDEX, None).await;
    }
    let rates = Rates { jobs: 100, audit: 0 };
    let palettes = Arc::new(ArcSwap::new(Palettes::unconfigured()));
    let runner = Runner::new(store.clone(), Arc::default(), palettes, rates, Default::default());
    let task = Task::Audit { repair: true };
    let started = runner.book.start(task, Lists::default(), None, false, patience()).await;
    let loaded = runner.book.load(&started.expect("a job").id, patience()).await;
    let (mut job, version) = loaded.expect("an answer").expect("the job");
    job.numbers.add("damaged", damaged);
    job.end(state, now());
    assert!(runner.book.save(&job, version, patience()).await.expect("an answer"));
    write(&store, INDEX_JOB, Some(job.id.to_string().into_bytes())).await;
    runner
}

#[tokio::test]
async fn an_audit_that_met_damage_does_not_complete_the_index() {
    for (state, damaged) in [(State::Failed, 0), (State::Failed, 1), (State::Done, 1)] {
        let mut runner = behind_an_audit(state, damaged).await;
        runner.complete_index().await.expect("an answer");
        assert!(!runner.indexed, "{state:?}");
        assert_eq!(read(&runner.book.store, USER_INDEX).await, None, "{state:?}");
        // The next audit waits, so that it does not begin again and again.
        assert_eq!(runner.book.open(patience()).await.expect("an answer").len(), 1);
    }
}

#[tokio::test]
async fn without_user_index_the_store_is_audited_again() {
    let mut runner = behind_an_audit(State::Done, 0).await;
    runner.complete_index().await.expect("an answer");
    assert!(runner.indexed);
    let store = runner.book.store.clone();
    assert!(read(&store, USER_INDEX).await.is_some());
    assert_eq!(read(&store, INDEX_JOB).await, None);
    write(&store, USER_INDEX, None).await;
    runner.complete_index().await.expect("an answer");
    assert!(!runner.indexed, "the runner takes it for complete");
    assert_eq!(read(&store, USER_INDEX).await, None);
    assert!(read(&store, INDEX_JOB).await.is_some(), "no audit began");
}
