//! Every kind of store, empty, and the macro that runs a test on each.

use onetap::store::memory::MemoryStore;
use onetap::store::{AnyStore, Retention};
use tempfile::TempDir;

use crate::support::redis_server::{Kind, shared};
use crate::support::{file, forms};

/// A store, and what must live as long.
pub(crate) type Fresh = (AnyStore, Option<TempDir>);

pub(crate) async fn memory() -> Fresh {
    (AnyStore::Memory(MemoryStore::new(Retention::default())), None)
}

pub(crate) async fn file() -> Fresh {
    let (store, folder) = file::fresh();
    (AnyStore::File(store), Some(folder))
}

pub(crate) async fn redis() -> Fresh {
    (AnyStore::Redis(shared(Kind::Redis).store()), None)
}

pub(crate) async fn valkey() -> Fresh {
    (AnyStore::Redis(shared(Kind::Valkey).store()), None)
}

pub(crate) async fn tls() -> Fresh {
    (AnyStore::Redis(forms::over_tls()), None)
}

pub(crate) async fn sentinel() -> Fresh {
    (AnyStore::Redis(forms::behind_sentinels().await), None)
}

pub(crate) async fn cluster() -> Fresh {
    (AnyStore::Redis(forms::in_a_cluster().await), None)
}

/// `on_stores! { [memory, file] { a_test, another } }` runs each test on each of the stores, in a
/// module with the name of the store.
macro_rules! on_stores {
    ([$($store:ident),+] $tests:tt) => {
        $($crate::store::each::on_stores! { @ $store $tests })+
    };
    (@ $store:ident { $($test:ident),+ $(,)? }) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let (store, _kept) = $crate::store::each::$store().await;
                super::$test(store).await;
            })+
        }
    };
}
pub(crate) use on_stores;
