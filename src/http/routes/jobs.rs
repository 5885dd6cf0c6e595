//! Moderators: jobs.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::super::dto::{
    ActorParams, JobAnswer, JobBody, JobsAnswer, ReadProblems, ReceiptEnd, UserParams,
    WriteProblems,
};
use super::super::extract::{ActorHeader, JobPath, JsonBody, LongBody, NoBody, Query, UserPath};
use super::super::problem::{Code, Problem};
use super::super::state::Reactions;
use crate::jobs::{Job, JobBook, JobId, Lists, Task};
use crate::store::{Deadline, StoreError};

/// Start a job.
///
/// The answer comes before the work. `Location` says where to see how far it is. docs/jobs.md says
/// what each kind does, and what it does not do.
///
/// - `audit` {`repair`}: compares each post with its members; with `repair`, repairs it.
/// - `erase` {`user_id`}: removes every reaction of a user.
/// - `retract` {`user_ids`, `reaction`, `posts`, `since`, `until`}: removes what many users gave.
///   The receipt names each, so that an import can restore them.
/// - `rename` {`from`, `to`, `posts`}: turns a reaction into another one.
/// - `merge_user` {`from`, `to`}: gives all reactions of a user to another one.
/// - `copy_post`, `move_post` {`from`, `to`}: gives the reactions on a post to another post.
///
/// All take `dry_run`.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    params(ActorParams),
    request_body(content = JobBody, content_type = "application/json"),
    responses(
        (status = 202, description = "It has begun", body = JobAnswer,
            headers(("Location" = String, description = "The job"))),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn start(
    State(reactions): State<Arc<Reactions>>,
    State(book): State<JobBook>,
    actor: ActorHeader,
    query: Query,
    LongBody(body): LongBody<JobBody>,
) -> Result<Response, Problem> {
    query.has_only(&[])?;
    let dry_run = body.dry_run.unwrap_or_default();
    let (task, lists) = body.task(&query, &reactions.palettes())?;
    begin(&reactions, &book, (task, lists), actor, dry_run).await
}

/// Erase a user.
///
/// The same as a job of the kind `erase`: it removes all reactions of the user, on all posts.
#[utoipa::path(
    delete,
    path = "/v1/users/{user_id}/reactions",
    params(UserParams, ActorParams),
    responses(
        (status = 202, description = "It has begun", body = JobAnswer,
            headers(("Location" = String, description = "The job"))),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn erase(
    State(reactions): State<Arc<Reactions>>,
    State(book): State<JobBook>,
    UserPath { user }: UserPath,
    actor: ActorHeader,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Response, Problem> {
    query.only(&[])?;
    begin(&reactions, &book, (Task::Erase { user }, Lists::default()), actor, false).await
}

/// What to do when nobody knows whether the job exists.
const MAY_HAVE_BEGUN: &str = "the store did not answer in time, so the job may have begun; look for \
                              it with GET /v1/jobs before you start it again";

async fn begin(
    reactions: &Reactions,
    book: &JobBook,
    (task, lists): (Task, Lists),
    actor: ActorHeader,
    dry_run: bool,
) -> Result<Response, Problem> {
    let deadline = reactions.deadline();
    let job = match book.start(task, lists, actor.moderator(), dry_run, deadline).await {
        Err(StoreError::OutcomeUnknown) => {
            return Err(Problem::new(Code::OutcomeUnknown, MAY_HAVE_BEGUN));
        }
        started => started?,
    };
    let location = reactions.base.join(&format!("/v1/jobs/{}", job.id));
    let answer = JobAnswer::new(job, &reactions.base);
    let mut response = (StatusCode::ACCEPTED, Json(answer)).into_response();
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// The jobs of the last 30 days.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100,
            description = "The length of the page; 25 if there is none"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "A page, newest first", body = JobsAnswer), ReadProblems),
)]
pub(in crate::http) async fn list(
    State(reactions): State<Arc<Reactions>>,
    State(book): State<JobBook>,
    query: Query,
) -> Result<Json<JobsAnswer>, Problem> {
    query.has_only(&["limit", "cursor"])?;
    let foreign = |_| {
        let detail = "the cursor is not from this list; pass on its `next_cursor` unchanged";
        Problem::new(Code::InvalidCursor, detail)
    };
    let before = query.cursor()?.map(str::parse::<JobId>).transpose().map_err(foreign)?;
    let page = book.page(before.as_ref(), query.limit()?, reactions.deadline()).await?;
    let jobs = page.jobs.into_iter().map(|job| JobAnswer::new(job, &reactions.base)).collect();
    Ok(Json(JobsAnswer { jobs, next_cursor: page.next.map(|id| id.to_string()) }))
}

/// A job: how far it is, and what it did.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job_id}",
    params(("job_id" = String, Path, description = "The job", example = "01a0f3b2c4d5e6f7")),
    responses((status = 200, description = "The job", body = JobAnswer), ReadProblems),
)]
pub(in crate::http) async fn show(
    State(reactions): State<Arc<Reactions>>,
    State(book): State<JobBook>,
    path: JobPath,
    query: Query,
) -> Result<Json<JobAnswer>, Problem> {
    query.only(&[])?;
    let job = found(&book, path, reactions.deadline()).await?;
    Ok(Json(JobAnswer::new(job, &reactions.base)))
}

/// Cancel a job.
///
/// It ends after the step that is under way: what it has done stays. A job that has ended stays as
/// it is; that is no error.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{job_id}",
    params(("job_id" = String, Path, description = "The job", example = "01a0f3b2c4d5e6f7")),
    responses(
        (status = 200, description = "It has ended", body = JobAnswer),
        (status = 202, description = "It ends after this step", body = JobAnswer),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn cancel(
    State(reactions): State<Arc<Reactions>>,
    State(book): State<JobBook>,
    JobPath { job }: JobPath,
    query: Query,
    _: JsonBody<NoBody>,
) -> Result<Response, Problem> {
    query.only(&[])?;
    let id = job.ok_or_else(unknown)?;
    let job = book.cancel(&id, reactions.deadline()).await?.ok_or_else(unknown)?;
    let status = if job.has_ended() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(JobAnswer::new(job, &reactions.base))).into_response())
}

/// The receipt of a job.
///
/// Lines of JSON. For `retract`, first the reactions that it removed, as an export writes them. For
/// `audit`, the posts that disagreed. Posts that could not be read or changed. The last line is
/// `{"receipt": …}` with the job and its numbers. It is kept for 30 days.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job_id}/receipt",
    params(("job_id" = String, Path, description = "The job", example = "01a0f3b2c4d5e6f7")),
    responses(
        (status = 200, description = "Lines of JSON", content_type = "application/x-ndjson",
            body = String),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn receipt(
    State(reactions): State<Arc<Reactions>>,
    State(book): State<JobBook>,
    path: JobPath,
    query: Query,
) -> Result<Response, Problem> {
    query.only(&[])?;
    let job = found(&book, path, reactions.deadline()).await?;
    if !job.has_ended() {
        let detail = "the job has not ended; its receipt is here once it has";
        return Err(Problem::new(Code::NotFound, detail));
    }
    let (id, parts) = (job.id.clone(), job.receipts);
    let receipt = JobAnswer::new(job, &reactions.base);
    let mut last = serde_json::to_vec(&ReceiptEnd { receipt }).unwrap_or_default();
    last.push(b'\n');
    let lines = stream::unfold((0, Some(last)), move |(part, last)| {
        let (book, id, deadline) = (book.clone(), id.clone(), reactions.deadline());
        async move {
            if part < parts {
                let lines = book.receipt(&id, part, deadline).await;
                return Some((lines, (part + 1, last)));
            }
            last.map(|line| (Ok::<_, StoreError>(line), (part, None)))
        }
    });
    let mut response = Response::new(Body::from_stream(lines));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

async fn found(book: &JobBook, path: JobPath, deadline: Deadline) -> Result<Job, Problem> {
    let id = path.job.ok_or_else(unknown)?;
    book.job(&id, deadline).await?.ok_or_else(unknown)
}

fn unknown() -> Problem {
    let detail = "there is no such job; onetap forgets a job 30 days after its last step; GET \
                  /v1/jobs lists the others";
    Problem::new(Code::NotFound, detail)
}
