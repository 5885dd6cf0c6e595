//! Moderators: rows into the store that this service holds, and everything out of it.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::stream;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinHandle;

use super::super::dto::{
    ActorParams, ImportAnswer, ImportBody, ImportPost, ImportRow, ImportedPost, ReadProblems,
    WriteProblems,
};
use super::super::extract::{ActorHeader, LongBody, Query};
use super::super::problem::{Code, Problem};
use super::super::server::Endless;
use super::super::state::Reactions;
use crate::domain::{
    Add, DEFAULT_PALETTE, EditAct, MOST_EDITS, MemberEdit, Micros, PostId, Rules, SourceId,
};
use crate::moving::{
    self, CURSOR_HEADER, Changes, ChangesCursor, ExportError, Exported, Format, Meaning, Plan,
    SinceError, Step, StepRow, Stepped, Writer,
};
use crate::store::StoreError;

/// How many exports run at a time. Each needs temporary files, and reads the whole store.
const AT_A_TIME: usize = 2;

static EXPORTS: Semaphore = Semaphore::const_new(AT_A_TIME);

/// A time may be this far ahead of our clock: the caller has another one.
const AHEAD: Duration = Duration::from_secs(60);

/// Import rows.
///
/// For `onetap import --url`, and for what an import by a file cannot do. The rows of each post are
/// one atomic step. Repeating a call is always safe: rows of one source are applied once. Rules and
/// palettes do not judge them. Each row must be there once, sorted in a way that the caller
/// repeats: `from` counts the rows of a post.
#[utoipa::path(
    post,
    path = "/v1/import",
    params(ActorParams),
    request_body(content = ImportBody, content_type = "application/json"),
    responses(
        (status = 200, description = "What became of each post", body = ImportAnswer),
        WriteProblems,
    ),
)]
pub(in crate::http) async fn import(
    State(reactions): State<Arc<Reactions>>,
    actor: ActorHeader,
    query: Query,
    LongBody(body): LongBody<ImportBody>,
) -> Result<Json<ImportAnswer>, Problem> {
    query.has_only(&[])?;
    let ImportBody { source, merge, dry_run, restore, posts } = body;
    let source = source.as_deref().and_then(source_id);
    let source = source.ok_or_else(|| invalid("`source` is not 32 hexadecimal digits"))?;
    let plan = Plan { source, merge, dry_run, restore, actor: actor.moderator() };
    let steps = steps(posts.unwrap_or_default(), &query)?;
    let done = moving::apply(&reactions.store, plan, &steps, reactions.deadline()).await;
    let nothing_applied = done
        .iter()
        .all(|result| result.as_ref().is_err_and(|error| *error != StoreError::OutcomeUnknown));
    let answers = steps.iter().zip(done).map(|(step, result)| match result {
        Err(error) if nothing_applied => Err(error.into()),
        result => Ok(imported(step.post, result)),
    });
    Ok(Json(ImportAnswer { posts: answers.collect::<Result<_, Problem>>()? }))
}

fn imported(post: PostId, result: Result<Stepped, StoreError>) -> ImportedPost {
    let answer = ImportedPost { post_id: Some(post), ..ImportedPost::default() };
    match result {
        Ok(Stepped { outcome, counts, ruled, rules_lost }) => {
            let outcome = Some(moving::outcome_word(outcome));
            ImportedPost { outcome, ruled, rules_lost, ..answer.with(counts) }
        }
        Err(error) => {
            let problem = Some(Problem::from(error).code().as_str());
            ImportedPost { problem, ..answer }
        }
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidBody, detail)
}

fn source_id(text: &str) -> Option<SourceId> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| digits)?;
    Some(SourceId(number.to_be_bytes()))
}

fn steps(posts: Vec<ImportPost>, query: &Query) -> Result<Vec<Step>, Problem> {
    let rows: usize = posts.iter().map(|post| post.rows.len()).sum();
    if posts.is_empty() || posts.len() > MOST_EDITS || rows > MOST_EDITS {
        let detail = format!(
            "`posts` has {} posts with {rows} rows; send 1 to {MOST_EDITS} posts, with at most \
             {MOST_EDITS} rows together",
            posts.len()
        );
        return Err(invalid(detail));
    }
    let mut seen = HashSet::new();
    let latest = now().later(AHEAD);
    let steps = posts.into_iter().map(|post| {
        let ImportPost { post_id, from, rows, rules } = post;
        let post: PostId = post_id.into_text().parse()?;
        if !seen.insert(post) {
            return Err(invalid(format!("`posts` has {post} twice; put its rows together")));
        }
        let rows = rows.into_iter().map(|row| step_row(row, latest, query));
        let rows = rows.collect::<Result<Vec<_>, Problem>>()?;
        let rules = rules.map(|rules| {
            let add = Add::from_word(&rules.add);
            let add = add.ok_or_else(|| invalid("`add` is not all, existing or none"))?;
            let named = (rules.palette != DEFAULT_PALETTE).then(|| rules.palette.parse());
            let palette = named.transpose().map_err(|error| invalid(format!("{error}")))?;
            Ok::<_, Problem>(Rules { palette, add, locked: rules.locked })
        });
        // A caller cuts the rows of a large post into calls of the most rows.
        let more = rows.len() == MOST_EDITS;
        Ok(Step { post, from, more, rows, rules: rules.transpose()? })
    });
    steps.collect()
}

fn step_row(row: ImportRow, latest: Micros, query: &Query) -> Result<StepRow, Problem> {
    let ImportRow { user_id, reaction, reacted_at, active } = row;
    let at = moving::time(&reacted_at).map_err(|why| invalid(format!("`reacted_at`: {why}")))?;
    if at > latest {
        return Err(invalid(format!("`reacted_at`: {at} lies in the future")));
    }
    let act = if active { EditAct::Put(at) } else { EditAct::RemoveUpTo(at) };
    let user = query.named_in_json(user_id)?;
    Ok(StepRow { edit: MemberEdit { user, reaction: reaction.parse()?, act } })
}

fn now() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Export everything.
///
/// Lines of JSON, ordered by post, user and reaction: `{"post_id","user_id","reaction",
/// "reacted_at"}`, and before those of a post that has rules `{"post_id","palette","add",
/// "locked"}`. Taps go on meanwhile. What is tapped after the call may be in it or not; it is in the
/// export of what changed since the cursor in the header `Onetap-Changes-Cursor`.
///
/// With `since`, only members that changed since then. One that is gone has `"active":false` and the
/// time when it went. Where a post or a reaction of it was forgotten, a line
/// `{"post_id","reaction","forgotten":true}` comes first; `reaction` is null for all. Everything
/// that is left of that post follows.
#[utoipa::path(
    get,
    path = "/v1/export",
    params(
        ("since" = Option<String>, Query, description = "`Onetap-Changes-Cursor` of an export"),
    ),
    responses(
        (status = 200, description = "Lines of JSON", content_type = "application/x-ndjson",
            body = String,
            headers(("Onetap-Changes-Cursor" = String, description = "Where to go on"))),
        ReadProblems,
    ),
)]
pub(in crate::http) async fn export(
    State(reactions): State<Arc<Reactions>>,
    query: Query,
) -> Result<Response, Problem> {
    query.has_only(&["since"])?;
    let since = query.since()?.map(ChangesCursor::parse).transpose();
    let since = since.map_err(|error| Problem::new(Code::InvalidCursor, error.to_string()))?;
    let permit = EXPORTS.try_acquire().map_err(|_| {
        let detail = format!("{AT_A_TIME} exports are running; wait until one has ended");
        Problem::new(Code::Overloaded, detail)
    })?;
    let (parts, receiver) = mpsc::channel(moving::WAITING);
    let store = reactions.store.clone();
    let (cursor, sending) = match since {
        None => {
            let cursor = ChangesCursor::now(&store).await?;
            (cursor, tokio::spawn(async move { moving::export(&store, parts).await }))
        }
        Some(since) => {
            let changes = Changes::since(&store, since).await.map_err(problem)?;
            let cursor = changes.next.clone();
            (cursor, tokio::spawn(async move { changes.export(&store, parts).await }))
        }
    };
    let writer = Writer::new(Format::NdJson, Meaning::default());
    let outgoing = Outgoing { receiver, sending: Some(sending), writer, _permit: permit };
    let lines = stream::unfold(outgoing, Outgoing::next);
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Ok(cursor) = HeaderValue::try_from(cursor.to_string()) {
        headers.insert(HeaderName::from_static(CURSOR_HEADER), cursor);
    }
    response.extensions_mut().insert(Endless);
    Ok(response)
}

fn problem(error: SinceError) -> Problem {
    match error {
        SinceError::Expired => Problem::new(Code::CursorExpired, error.to_string()),
        SinceError::Export(ExportError::Store(error)) => error.into(),
        SinceError::Export(error) => {
            tracing::warn!("an export failed: {error}");
            Problem::new(Code::StoreUnavailable, super::super::problem::TRY_AGAIN)
        }
    }
}

/// An export on its way to a client.
struct Outgoing {
    receiver: mpsc::Receiver<Vec<Exported>>,
    sending: Option<JoinHandle<Result<(), ExportError>>>,
    writer: Writer,
    _permit: SemaphorePermit<'static>,
}

impl Outgoing {
    /// The next lines. An export that fails ends in an error, so that the client sees that it is
    /// not complete.
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        if let Some(part) = self.receiver.recv().await {
            let mut text = String::new();
            part.iter().for_each(|line| self.writer.write(line, &mut text));
            return Some((Ok(text.into()), self));
        }
        let ended = self.sending.take()?.await.map_err(io::Error::other);
        match ended.and_then(|ended| ended.map_err(io::Error::other)) {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!("an export broke off: {error}");
                Some((Err(error), self))
            }
        }
    }
}
