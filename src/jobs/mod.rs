//! Jobs: work on many posts or on all of them, which people start and then leave alone.
//!
//! A job is a document in the store. It says what to do, how far the job is, and what the next step
//! will change (its [`Plan`](plan::Plan)). A runner changes that document only if nobody else has
//! changed it since. So the steps of a job form one line, whichever process runs them:
//!
//! 1. The runner reads what the next step has to change, and writes this plan into the document.
//! 2. It makes the changes. Each has a token, so that a repetition changes nothing and answers what
//!    the first run answered.
//! 3. It writes the lines of the receipt, then the numbers, the new place and the next plan.
//!
//! A process that dies between two of these leaves a plan behind. The next runner repeats it. Two
//! runners of one job do the same plan, and only one of them gets on. The lease spares them that.
//!
//! | document | has |
//! | --- | --- |
//! | `job/ID` | the job, with the plan of its next step; kept for 30 days after the last write |
//! | `job/ID/users/N`, `job/ID/posts/N` | the users and posts that it lists |
//! | `job/ID/receipt/N` | lines of its receipt |
//! | `jobs/open` | the ids of the jobs that have not ended |
//! | `jobs/DAY` | the ids of the jobs that were created on a day, for the list |
//! | `jobs/index` | the audit that completes the index of a store of an earlier release |

mod audit;
mod book;
mod job;
mod lists;
mod look;
mod perform;
mod plan;
mod runner;
mod sampling;
mod stats;
mod task;
mod text;

pub use book::{JobBook, JobPage};
pub use job::{Job, JobId, Lists, Numbers, State};
pub use runner::{Rates, Runner};
pub use stats::{AuditStats, JobStats};
pub use task::{MOST_POSTS, MOST_USERS, Task};
