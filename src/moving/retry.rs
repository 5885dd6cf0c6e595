//! Reads that wait for a store that is away for a moment.

use std::time::{Duration, Instant};

use crate::store::{Deadline, StoreError};

/// Timeout of one attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long reads are repeated.
const IN_ALL: Duration = Duration::from_secs(30);

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Repeats a read until the store answers.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
    mut read: impl FnMut(Deadline) -> F,
) -> Result<T, StoreError> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    loop {
        match read(Deadline::after(PATIENCE)).await {
            Err(
                StoreError::Unavailable(_) | StoreError::Overloaded | StoreError::OutcomeUnknown,
            ) if began.elapsed() < IN_ALL => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            answer => return answer,
        }
    }
}
