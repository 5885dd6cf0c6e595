//! What jobs and the background audit count. The doc comments are the help texts at `/metrics`.

use crate::telemetry::stats;

stats! {
    /// What the runner of this process has done.
    pub struct JobStats {
        /// Jobs that have not ended, as this process last saw them.
        Gauge open: "jobs_open",
        /// Steps of jobs that this process has done.
        Counter steps: "job_steps",
        /// Reactions that jobs of this process have looked at or changed.
        Counter members: "job_members",
        /// Jobs that this process has ended as done.
        Counter done: "jobs_done",
        /// Jobs that this process has ended as failed.
        Counter failed: "jobs_failed",
        /// Steps of jobs that failed and are tried again.
        Counter retried: "job_steps_retried",
    }
}

stats! {
    /// What the background audit has found.
    pub struct AuditStats {
        /// Posts that the background audit compared with their members.
        Counter posts: "audit_posts",
        /// Posts whose counts, index, rules or revision disagree with their members.
        Counter drifted: "audit_posts_drifted",
        /// Posts that the background audit could not read.
        Counter failed: "audit_posts_failed",
        /// Times that the background audit has gone through all posts.
        Counter rounds: "audit_rounds",
    }
}
