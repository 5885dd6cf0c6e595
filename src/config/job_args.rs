//! The arguments of `jobs` and `erase`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The service that runs the jobs.
#[derive(Clone, Debug, Args)]
pub struct AtUrl {
    /// The address of a running onetap [default: what `--listen` and `--base-path` say]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// A file whose first line is a service key of that service, with the scope `moderate`
    #[arg(long, value_name = "FILE")]
    pub service_key: Option<PathBuf>,
}

/// What `jobs` does.
#[derive(Clone, Debug, Args)]
pub struct JobsArgs {
    /// What to do with jobs.
    #[command(subcommand)]
    pub command: JobsCommand,
}

/// What to do with jobs.
#[derive(Clone, Debug, Subcommand)]
pub enum JobsCommand {
    /// List the jobs of the last 30 days, newest first
    List(AtUrl),
    /// Print a job as JSON
    Show(OneJob),
    /// Start a job; docs/jobs.md says what each kind does
    Start(Box<StartArgs>),
    /// End a job after the step that is under way
    Cancel(OneJob),
    /// Print the receipts of jobs; without an id, those of all jobs that have ended
    Receipt(ReceiptArgs),
}

/// A job.
#[derive(Clone, Debug, Args)]
pub struct OneJob {
    /// The job
    pub id: String,
    /// The service.
    #[command(flatten)]
    pub at: AtUrl,
}

/// Which receipts to print.
#[derive(Clone, Debug, Args)]
pub struct ReceiptArgs {
    /// The jobs
    pub ids: Vec<String>,
    /// The service.
    #[command(flatten)]
    pub at: AtUrl,
}

/// How to start jobs.
#[derive(Clone, Debug, Args)]
pub struct Starting {
    /// The service.
    #[command(flatten)]
    pub at: AtUrl,

    /// The user id of the moderator that acts, for the change log
    #[arg(long, value_name = "USER")]
    pub actor: Option<String>,

    /// Wait for the end; exit code 1 if the job fails
    #[arg(long)]
    pub wait: bool,
}

/// The job to start. The service says which fields a kind takes.
#[derive(Clone, Debug, Args)]
pub struct StartArgs {
    /// audit, erase, retract, rename, `merge_user`, `copy_post` or `move_post`
    pub kind: String,

    /// erase: the user
    #[arg(long, value_name = "USER")]
    pub user_id: Option<String>,

    /// retract: users, with commas between them
    #[arg(long, value_name = "USER", value_delimiter = ',')]
    pub users: Vec<String>,

    /// retract: a file with users, one a line
    #[arg(long, value_name = "FILE")]
    pub users_file: Option<PathBuf>,

    /// retract: only this reaction
    #[arg(long)]
    pub reaction: Option<String>,

    /// retract, rename: only these posts, with commas between them
    #[arg(long, value_name = "POST", value_delimiter = ',')]
    pub posts: Vec<String>,

    /// retract: only what was given at this time or later, such as 2026-11-25T08:30:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// retract: only what was given at this time or earlier
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,

    /// rename, `merge_user`, `copy_post`, `move_post`: the reaction, user or post that goes
    #[arg(long)]
    pub from: Option<String>,

    /// The reaction, user or post that it becomes
    #[arg(long)]
    pub to: Option<String>,

    /// audit: repair what disagrees
    #[arg(long)]
    pub repair: bool,

    /// Only count what the job would change
    #[arg(long)]
    pub dry_run: bool,

    /// How to start it.
    #[command(flatten)]
    pub starting: Starting,
}

/// Which users the command `erase` erases.
#[derive(Clone, Debug, Args)]
pub struct EraseArgs {
    /// The users
    #[arg(required_unless_present = "from")]
    pub users: Vec<String>,

    /// Also the users of the erasures in this file of receipts: after a backup was restored
    #[arg(long, value_name = "RECEIPTS")]
    pub from: Option<PathBuf>,

    /// How to start the jobs.
    #[command(flatten)]
    pub starting: Starting,
}
