//! `onetap export`: all reactions of a store, or what changed, to standard output.

use std::io::{self, Write};

use super::moving::{self, many};
use crate::app::{self, Failure};
use crate::config::{Config, ConfigError, ExportArgs, ExportFormat, Settings};
use crate::moving::{
    ChangesCursor, Format, LeftOut, OutwardError, Reader, SinceError, Writer, outward,
};

/// Runs the export.
pub(super) fn run(args: &ExportArgs, settings: &Settings) -> Result<(), Failure> {
    let config = Config::new(settings)?;
    moving::log(settings, &config)?;
    let since = args.since.as_deref().map(ChangesCursor::parse).transpose();
    let since = since.map_err(|error| ConfigError::told("--since", &error.to_string()))?;
    let format = match args.format {
        ExportFormat::Ndjson => Format::NdJson,
        ExportFormat::Csv => Format::Csv,
    };
    let meaning = moving::meaning(&args.meaning, &config);
    if format == Format::NdJson && meaning.changes_tables() {
        let hint = "add --format csv, or leave them out";
        let problem = "--columns, --map and --post-ids are for tables";
        return Err(ConfigError::new("--format", problem, hint).into());
    }
    let service = moving::service(&args.service, settings)?;
    if service.is_none() {
        moving::is_there(&config)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let target = moving::target(service, &config).await?;
        let writer = Writer::new(format, meaning);
        let written = outward(target, since, move |reader| write(reader, writer)).await;
        let ((lines, left_out), cursor) = written.map_err(failure)?;
        let lines = many(lines, "line");
        eprintln!("onetap: {lines}; what changes from now on: --since {cursor}");
        judge(left_out)
    })
}

fn write(mut reader: Reader, mut writer: Writer) -> io::Result<(u64, LeftOut)> {
    let mut output = app::output();
    let (mut text, mut lines) = (writer.header(), 0);
    while let Some(part) = reader.part() {
        lines += part.len() as u64;
        part.iter().for_each(|line| writer.write(line, &mut text));
        output.write_all(text.as_bytes())?;
        text.clear();
    }
    output.write_all(text.as_bytes())?;
    output.flush()?;
    Ok((lines, writer.left_out))
}

/// Says what a table could not say.
fn judge(LeftOut { rules, forgotten, other_posts }: LeftOut) -> Result<(), Failure> {
    if rules > 0 {
        eprintln!("onetap: a table has no rules: not in it are those of {}", many(rules, "post"));
    }
    if other_posts > 0 {
        let rows = many(other_posts, "row");
        eprintln!("onetap: not in it, for posts of another kind: {rows}");
    }
    if forgotten == 0 {
        return Ok(());
    }
    Err(Failure::Partly(format!(
        "posts or reactions that were forgotten: {forgotten}, which a table cannot say; export \
         NDJSON, or export everything"
    )))
}

pub(super) fn failure(error: OutwardError) -> Failure {
    match error {
        OutwardError::Store(SinceError::Export(error)) => moving::export_failure(error),
        OutwardError::Store(SinceError::Expired) => Failure::Partly(error.to_string()),
        OutwardError::Service(line) if line.contains(" 410 cursor_expired") => {
            Failure::Partly(line)
        }
        OutwardError::Service(line) => Failure::Taken(line),
        OutwardError::Reader(error) => {
            Failure::Partly(format!("standard output: {error}; the export is not complete"))
        }
    }
}
