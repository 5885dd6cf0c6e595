//! `onetap jobs` and `onetap erase`: jobs of a running service.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::own_url;
use crate::app::{Failure, say};
use crate::config::{
    AtUrl, ConfigError, EraseArgs, Flags, JobsArgs, JobsCommand, ReceiptArgs, StartArgs, Starting,
};

/// How often to look at a job that is waited for.
const LOOK: Duration = Duration::from_millis(200);

/// How long the service may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `onetap jobs`.
pub(super) fn run(args: &JobsArgs, flags: &Flags) -> Result<(), Failure> {
    match &args.command {
        JobsCommand::List(at) => list(&Api::at(at, flags)?),
        JobsCommand::Show(job) => {
            let path = format!("/v1/jobs/{}", encoded(&job.id));
            let job = Api::at(&job.at, flags)?.json("GET", &path, None)?;
            say(&format!("{job:#}\n"))
        }
        JobsCommand::Start(args) => start(args, flags),
        JobsCommand::Cancel(job) => {
            let path = format!("/v1/jobs/{}", encoded(&job.id));
            say_job(&Api::at(&job.at, flags)?.json("DELETE", &path, None)?)
        }
        JobsCommand::Receipt(args) => receipts(args, flags),
    }
}

/// Runs `onetap erase`.
pub(super) fn erase(args: &EraseArgs, flags: &Flags) -> Result<(), Failure> {
    let mut users: BTreeSet<String> = args.users.iter().cloned().collect();
    if let Some(path) = &args.from {
        users.extend(erased(path)?);
    }
    let api = Api::starting(&args.starting, flags)?;
    // That a line cannot be printed must not keep a user from being erased.
    let (mut started, mut told) = (Vec::new(), Ok(()));
    for user in users {
        let path = format!("/v1/users/{}/reactions", encoded(&user));
        let job = api.json("DELETE", &path, None)?;
        told = told.and(say_job(&job));
        started.push(job);
    }
    if args.starting.wait {
        started.iter().try_for_each(|job| wait(&api, job))?;
    }
    told
}

/// The users of the erasures in a file of receipts.
fn erased(path: &Path) -> Result<Vec<String>, Failure> {
    let file = std::fs::File::open(path).map_err(|error| unread(path, &error))?;
    let (mut users, mut lines, mut receipts) = (Vec::new(), 0_u64, 0_u64);
    for (n, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| unread(path, &error))?;
        if line.trim().is_empty() {
            continue;
        }
        let line: Value = serde_json::from_str(&line).map_err(|_| {
            let n = n + 1;
            Failure::Data(format!("{}:{n}: it is no line of a receipt", path.display()))
        })?;
        let job = &line["receipt"];
        lines += 1;
        receipts += u64::from(job.is_object());
        if job["kind"] == "erase" && job["dry_run"] == false {
            users.extend(job["arguments"]["user_id"].as_str().map(str::to_owned));
        }
    }
    let name = path.display();
    if lines > 0 && receipts == 0 {
        let why = "it has no receipt; `onetap jobs receipt` prints them";
        return Err(Failure::Data(format!("{name}: {why}")));
    }
    if users.is_empty() {
        eprintln!("onetap: {name}: none of its {receipts} receipts is of an erasure");
    }
    Ok(users)
}

fn unread(path: &Path, error: &io::Error) -> Failure {
    let hint = "name a file that can be read";
    ConfigError::new(path.display().to_string(), error.to_string(), hint).into()
}

fn start(args: &StartArgs, flags: &Flags) -> Result<(), Failure> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        value.into_iter().for_each(|value| drop(body.insert(name.to_owned(), value)));
    };
    let text = |value: &Option<String>| value.as_ref().map(|text| json!(text));
    let list = |values: &[String]| (!values.is_empty()).then(|| json!(values));
    put("kind", Some(json!(args.kind)));
    put("user_id", text(&args.user_id));
    let mut users = args.users.clone();
    if let Some(path) = &args.users_file {
        let lines = std::fs::read_to_string(path).map_err(|error| unread(path, &error))?;
        users.extend(lines.split_whitespace().map(str::to_owned));
    }
    put("user_ids", list(&users));
    put("reaction", text(&args.reaction));
    put("posts", list(&args.posts));
    put("since", text(&args.since));
    put("until", text(&args.until));
    put("from", text(&args.from));
    put("to", text(&args.to));
    put("repair", args.repair.then_some(json!(true)));
    put("dry_run", args.dry_run.then_some(json!(true)));
    let api = Api::starting(&args.starting, flags)?;
    let job = api.json("POST", "/v1/jobs", Some(Value::Object(body)))?;
    let told = say_job(&job);
    if args.starting.wait { wait(&api, &job).and(told) } else { told }
}

fn list(api: &Api) -> Result<(), Failure> {
    each_job(api, say_job)
}

/// Prints a job as a line.
fn say_job(job: &Value) -> Result<(), Failure> {
    let word = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
    let total = job["total"].as_u64().map_or("?".to_owned(), |total| total.to_string());
    say(&format!(
        "{}  {:<10}  {:<9}  {}/{total}  {}  {}\n",
        word("id"),
        word("kind"),
        word("state"),
        job["done"],
        word("created_at"),
        job["arguments"],
    ))
}

fn each_job(api: &Api, mut each: impl FnMut(&Value) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut cursor = String::new();
    loop {
        let page = api.json("GET", &format!("/v1/jobs?limit=100{cursor}"), None)?;
        page["jobs"].as_array().into_iter().flatten().try_for_each(&mut each)?;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(()),
        }
    }
}

fn receipts(args: &ReceiptArgs, flags: &Flags) -> Result<(), Failure> {
    let api = Api::at(&args.at, flags)?;
    if args.ids.is_empty() {
        return each_job(&api, |job| match job["receipt"].as_str() {
            Some(path) => api.copy(path),
            None => Ok(()),
        });
    }
    args.ids.iter().try_for_each(|id| api.copy(&format!("/v1/jobs/{}/receipt", encoded(id))))
}

/// Waits for the end of a job, with a progress bar.
fn wait(api: &Api, job: &Value) -> Result<(), Failure> {
    let path = format!("/v1/jobs/{}", job["id"].as_str().unwrap_or_default());
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}") {
        bar.set_style(style);
    }
    loop {
        let job = api.json("GET", &path, None)?;
        bar.set_length(job["total"].as_u64().unwrap_or_default());
        bar.set_position(job["done"].as_u64().unwrap_or_default());
        match job["state"].as_str() {
            Some("running") => std::thread::sleep(LOOK),
            Some("done") => {
                bar.finish_and_clear();
                return say(&format!("done: {}\n", job["numbers"]));
            }
            state => {
                bar.finish_and_clear();
                let state = state.unwrap_or("no job");
                let why = job["error"].as_str().unwrap_or("its receipt says more");
                let line = format!("the job is {state}: {}; {why}", job["numbers"]);
                return Err(Failure::Partly(line));
            }
        }
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The API of a running service.
struct Api {
    url: String,
    actor: Option<String>,
    /// The value of the header `Authorization`.
    bearer: Option<String>,
    agent: ureq::Agent,
}

impl Api {
    fn at(at: &AtUrl, flags: &Flags) -> Result<Self, Failure> {
        let bearer = at.service_key.as_deref().map(super::bearer).transpose()?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .max_redirects(0)
            .user_agent(concat!("onetap/", env!("CARGO_PKG_VERSION")))
            .build();
        let url = at.url.clone().map_or_else(|| own_url(flags), Ok)?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { url, actor: None, bearer, agent: agent.into() })
    }

    fn starting(starting: &Starting, flags: &Flags) -> Result<Self, Failure> {
        Ok(Self { actor: starting.actor.clone(), ..Self::at(&starting.at, flags)? })
    }

    fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<ureq::http::Response<ureq::Body>, Failure> {
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        if let Some(actor) = &self.actor {
            request = request.header("onetap-actor", actor);
        }
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        let text = body.map(|body| body.to_string());
        if text.is_some() {
            request = request.header("content-type", "application/json");
        }
        let odd = |error: ureq::http::Error| {
            let hint = "write http://host:port";
            Failure::from(ConfigError::new("--url", error.to_string(), hint))
        };
        let answer = match text {
            Some(text) => self.agent.run(request.body(text).map_err(odd)?),
            None => self.agent.run(request.body(()).map_err(odd)?),
        };
        let mut answer =
            answer.map_err(|error| Failure::Taken(format!("{}: {error}", self.url)))?;
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let problem: Value = answer.body_mut().read_json().unwrap_or_default();
        let line = match (problem["code"].as_str(), problem["detail"].as_str()) {
            (Some(code), Some(detail)) => format!("{}: {status} {code}: {detail}", self.url),
            _ => format!("{}: it answered {status}; is it onetap?", self.url),
        };
        // What the caller wrote is wrong, or the service cannot do it now.
        Err(if status < 500 { Failure::Data(line) } else { Failure::Taken(line) })
    }

    fn json(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Failure> {
        let mut answer = self.call(method, path, body)?;
        answer
            .body_mut()
            .read_json()
            .map_err(|error| Failure::Taken(format!("{}: {error}; is it onetap?", self.url)))
    }

    /// Copies an answer to standard output.
    fn copy(&self, path: &str) -> Result<(), Failure> {
        let answer = self.call("GET", path, None)?;
        let mut reader = answer.into_body().into_reader();
        let mut part = vec![0; 64 * 1024];
        let mut whole = Vec::new();
        loop {
            let read = reader.read(&mut part).map_err(|error| {
                Failure::Taken(format!("{}: the receipt broke off: {error}", self.url))
            })?;
            if read == 0 {
                return Ok(());
            }
            // Only whole lines are texts.
            whole.extend_from_slice(&part[..read]);
            if let Some(end) = whole.iter().rposition(|byte| *byte == b'\n') {
                say(&String::from_utf8_lossy(&whole[..=end]))?;
                whole.drain(..=end);
            }
        }
    }
}
