//! Values of a store file, damaged in every way: each decoder says so, and none panics.

use proptest::prelude::*;

use super::values::{Counted, Head};
use super::{documents, log_entry, records, steps};

/// Bytes: any, or those of a value with some changed.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let letters = proptest::collection::vec(
        prop_oneof![any::<u8>(), proptest::sample::select(&b"tpiemflrTPlike, =\0aen"[..])],
        0..120,
    );
    prop_oneof![any::<Vec<u8>>(), letters]
}

/// The bytes of a tap in the change log.
fn tap() -> Vec<u8> {
    let mut bytes = b"t\x01".to_vec();
    bytes.extend(0x0192_f0c1_2345_7890_abcd_ef01_2345_6789_u128.to_be_bytes());
    [7_u64, 5, 3].iter().for_each(|number| bytes.extend(number.to_be_bytes()));
    bytes.extend(b"like");
    bytes
}

proptest! {
    // How many cases: PROPTEST_CASES, else 256.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values(bytes in bytes()) {
        let _ = (records::read(&bytes), documents::decode(&bytes), log_entry::occurred_at(&bytes));
        if let Ok(head) = Head::decode(&bytes) {
            prop_assert_eq!(Head::decode(&head.encode()).ok(), Some(head));
        }
        if let Ok(counted) = Counted::decode(&bytes) {
            prop_assert_eq!(Counted::decode(&counted.encode()).ok(), Some(counted));
        }
        let _ = (steps::decode_mark(&bytes), steps::decode_answer(&bytes));
    }

    #[test]
    fn log_entries(
        mut entry in prop_oneof![bytes(), Just(tap())],
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        if !entry.is_empty() {
            let at = at.index(entry.len());
            entry[at] = byte;
            entry.truncate(cut.index(entry.len() + 1));
        }
        if let Ok(change) = log_entry::decode(&entry) {
            prop_assert_eq!(log_entry::decode(&log_entry::encode(&change)).ok(), Some(change));
        }
    }
}
