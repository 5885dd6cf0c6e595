"""The mutants: small wrong changes, each of which the suite has to catch.

    "name": (file, what is there, what is put there instead)
    "name": (file, what is there, what is put there instead, "tests:: that suffice")

What is there has to stand in the file exactly once. The tests are filters of `cargo test`; without them all of
`TESTS` run, so naming them saves time and nothing else.
"""

TAP, SUMMARY, REACTORS = "lua/prelude_tap.lua", "lua/summary.lua", "lua/reactors.lua"
KEYED, CALL = "lua/prelude_keyed.lua", "src/store/redis/call.rs"
MACHINE, MEMORY = "src/domain/machine.rs", "src/store/memory/partition.rs"
STEP, WRITER = "src/store/file/step.rs", "src/store/file/writer.rs"
RECORDS, FILE_LOG = "src/store/file/records.rs", "src/store/file/log.rs"
BACKEND, OPEN = "src/store/file/backend.rs", "src/store/file/open.rs"
BOARD, INBOX, CONNECTION = "src/live/board.rs", "src/live/inbox.rs", "src/http/connection.rs"
FILE_TESTS = "file_store:: file_crash:: faults_recorded_file:: contract:: differential::"

# name: file, what is there, what is put there instead
MUTANTS = {
    # The write is decided by what an earlier call read.
    "split-check-from-write": ("src/store/redis/mod.rs",
        "        let answer = self.ask(deadline, |waiting| Item::Tap(tap, waiting));",
        """        let mut tap = tap;
        if tap.verb == crate::domain::Verb::Toggle {
            let query = SummaryQuery { posts: vec![tap.post], viewer: Some(tap.user), recent: 0 };
            let seen = self.summaries(query, deadline).await?;
            let on = seen[0].reactions.iter().any(|r| r.reaction == tap.reaction && r.mine == Some(true));
            tap.verb = if on { crate::domain::Verb::Unset } else { crate::domain::Verb::Set };
        }
        let answer = self.ask(deadline, |waiting| Item::Tap(tap, waiting));"""),
    "add-answer-ignored": (TAP, "    was = added == 0\n", "    was = false\n"),
    "look-of-remove-ignored": (TAP, "    was = score ~= false\n", "    was = true\n"),
    "remove-left-out": (TAP, "    call('ZREM', members, user)\n    count = count - 1\n", "    count = count - 1\n"),
    "emptied-set-counted-afterwards": (TAP, "    call('ZREM', members, user)\n    count = count - 1\n",
        "    call('ZREM', members, user)\n    count = call('ZCARD', members)\n", "redis_cluster::"),
    "count-kept-by-hand": (TAP, "  local count = call('ZCARD', members)\n  if was then\n",
        "  local count = (tonumber(call('HGET', post, reaction) or 0) or 0) + (was and 0 or 1)\n  if was then\n"),
    "count-not-healed": (TAP, "~= count then", "~= count and false then"),
    "zero-count-left": (TAP, "    call('HDEL', post, reaction)\n", ""),
    "revision-not-raised": (TAP, "  local revision, revision_text = next_revision(previous)\n",
        "  local revision = previous or now\n  local revision_text = string.format('%.0f', revision)\n"),
    "revision-from-the-clock-alone": (TAP, "  if previous and previous >= now then", "  if false then"),
    "not-after-ignored": (TAP, "  if hurried and now > tonumber(not_after) then return TOO_LATE, 0, 0 end\n", ""),
    "type-check-removed": (TAP, "    if type(added) == 'table' then return failure(added), 0, 0 end\n", ""),
    "write-not-taken-back": (TAP, "    if not was then call('ZREM', members, user) end\n", ""),
    "log-entry-left-out": (TAP, "  local logged = append(log, 'tap', entry)\n", "  local logged = true\n"),
    "log-entry-without-change": (TAP, "    return unchanged(post, members, reaction, was, previous)\n",
        "    append(log, 'tap', id .. ' ' .. user .. ' ' .. reaction .. ' 1 ' .. now_text)\n"
        "    return unchanged(post, members, reaction, was, previous)\n"),
    "log-never-trimmed": (TAP, "now % 16 == 0 and", "false and"),
    "log-ahead-of-the-clock-never-trimmed": (TAP, "    try('XTRIM', log, 'MAXLEN', '~', 10000)\n", "", "redis_store::"),
    "ahead-of-the-clock-never-old": ("src/domain/micros.rs", "|| self > now.later(retention)", "|| false", "micros:: partition:: file_store::"),
    "records-ahead-of-the-clock-in-the-way": ("src/domain/idempotency.rs", "(then <= now || then > latest)", "then <= now", "idempotency::"),
    "records-ahead-of-the-clock-dropped": ("src/domain/idempotency.rs", "            if then > latest {\n", "            if false {\n", "idempotency::"),
    "file-records-ahead-of-the-clock-kept": (RECORDS, "        if then <= Micros(expires_at).later(retention).0 {", "        if true {", "file_store::"),
    "trimmed-and-unheard-of": ("src/store/follow.rs", "is_some_and(|first| first.position == place)", "is_none_or(|_| true)", "follow::"),
    "ids-through-tonumber": (TAP, "  if hurried and", "  user = tonumber(user)\n  if hurried and"),
    "stateless-shares-a-revision": ("src/domain/micros.rs", "Self(now.0.saturating_sub(1))", "Self(now.0)"),
    "stateless-shares-a-revision-in-redis": ("lua/prelude.lua", "local stateless = now - 1", "local stateless = now"),
    "probe-leaves-its-keys": ("lua/probe.lua", "  call('DEL', post, members, log, record)\n", ""),
    "probe-runs-when-memory-is-full": ("src/store/redis/script.rs", 'Script::Probe => ("", PRELUDE_TAP', 'Script::Probe => (" flags=allow-oom", PRELUDE_TAP'),
    "cluster-batches-mix-partitions": ("src/store/redis/lane.rs", "        if self.node.is_none() {\n", "        if true {\n",
        "redis_cluster::"),
    "cluster-map-never-learned-again": ("src/store/redis/routes.rs", "        if call.returns > 0 {", "        if false {",
        "redis_cluster::"),
    "one-lost-node-makes-unready": ("src/store/redis/mod.rs", "            if probed.is_ok() {\n",
        "            if probed.is_err() || probes.is_empty() {\n", "redis_cluster::"),
    "cluster-map-behind-believed": ("src/store/redis/topology.rs", "Ok(map) if map.is_behind(&known) =>",
        "Ok(map) if false && map.is_behind(&known) =>", "topology::"),
    "cluster-rebuilt-never-believed": ("src/store/redis/topology.rs", ".elapsed() < BEHIND {", ".elapsed() < BEHIND * 9 {", "topology::"),
    "cluster-node-that-left-believed": ("src/store/redis/topology.rs", "        gone.for_each(|(_, standing)| standing.end());\n",
        "        gone.for_each(drop);\n", "topology::"),
    "pooled-connections-not-looked-at": ("src/store/redis/connect.rs", "            self.primary.believe(Server { node: node.clone(), run_id }, since);\n",
        "            let _ = (since, run_id);\n", "redis_store::"),
    "standing-never-lost": ("src/store/redis/standing.rs", "!self.0.is_cancelled()", "true", "primary:: topology::"),
    "primary-replaced-and-believed": ("src/store/redis/primary.rs", "std::mem::take(&mut self.standing).end();",
        "drop(std::mem::take(&mut self.standing));", "primary::"),
    "demoted-primary-kept": ("src/store/redis/refusal.rs", '["READONLY", "MASTERDOWN", "NOAUTH"]',
        '["MASTERDOWN", "MASTERDOWN", "NOAUTH"]', "redis_sentinel::"),
    "replica-taken-for-a-primary": ("src/store/redis/inspect.rs", 'if role != "master" {', "if role.is_empty() {"),
    "strict-ignored": ("src/store/redis/inspect.rs", "if self.strict && !faults.is_empty() {", "if false {", "startup::"),
    "rights-not-looked-at": ("src/store/redis/inspect.rs", "        self.check_rights(connection).await?;", "        let _ = self.check_rights(connection).await;", "redis_acl::"),
    "half-written-and-sent-again": ("src/store/redis/batch.rs", "        Verdict::Lost => doubt(call),\n", "        Verdict::Lost => doubt(call),\n        Verdict::BrokeOff if true => doubt(call),\n", "redis_acl::"),
    "refusal-in-a-script-taken-for-one-of-it": ("src/store/redis/refusal.rs", "_ if broke_off(error) =>", "_ if false && broke_off(error) =>", "refusal::"),
    "unknown-error-taken-for-none": ("src/store/redis/refusal.rs", "        Some(_) => Verdict::BrokeOff,\n        None => Verdict::Lost,\n", "        _ => Verdict::Lost,\n", "refusal::"),
    "half-written-and-going-on": ("src/store/redis/batch.rs", "let broke_off = script.writes()", "let broke_off = false && script.writes()", "redis_acl::"),
    "refused-database-waited-for": ("src/store/redis/dial.rs", "if is_about_the_database(&error) =>",
        "if false && is_about_the_database(&error) =>", "startup::"),
    "missing-right-waited-for": ("src/store/redis/dial.rs", '(Some("NOPERM"), _) =>', '(Some("NOPERMIT"), _) =>', "startup::"),
    "password-shown": ("src/store/redis/address.rs", 'f.write_str("***")', "f.write_str(&self.0)", "address::"),
    "connecting-needs-a-write": ("src/store/redis/inspect.rs", "if version.is_none() {", "if true {"),
    "cursor-without-the-user": (REACTORS, "found > user then low", "false then low"),
    "cursor-skips-equal-times": (REACTORS, "  while low < high do", "  low = high\n  while low < high do"),
    "mine-of-another-user": (SUMMARY, "mine = try('ZSCORE', members, viewer)", "mine = try('ZSCORE', members, '1')"),
    "newest-are-the-oldest": (SUMMARY, "recent - 1, 'REV', 'WITHSCORES'", "recent - 1, 'WITHSCORES'"),
    "posts-out-of-order": ("src/store/redis/mod.rs", "        Ok(summaries)\n",
        "        summaries.sort_by_key(|s| s.post);\n        Ok(summaries)\n"),
    "etag-without-the-viewer": ("src/http/routes/summaries.rs",
        'format!("\\"{}-{}\\"", summary.revision, viewer.map_or(0, UserId::get))', 'format!("\\"{}\\"", summary.revision)'),
    "page-etag-without-the-viewer": ("src/http/routes/summaries.rs",
        'format!("\\"{hash}-{}\\"", viewer.map_or(0, UserId::get))', 'format!("\\"{hash}-{}\\"", viewer.map_or(0, |_| 0))'),
    "write-sent-twice": ("src/store/redis/batch.rs", "        Err(error) if refusal::is_unknown_script(&error) => {",
        "        Ok(_) => cmd.query_async(&mut connection).await,\n        Err(error) if refusal::is_unknown_script(&error) => {"),
    "unknown-called-unavailable": ("src/store/redis/batch.rs", "    call.fail(StoreError::OutcomeUnknown);\n    None",
        "    call.fail(StoreError::Unavailable(String::new()));\n    None"),
    "expired-called-unavailable": ("src/store/redis/batch.rs", "call.fail(if script.writes() {", "call.fail(if false {"),
    "unset-refused-when-memory-is-full": ("src/store/redis/script.rs", '(" flags=allow-oom", PRELUDE_TAP', '("", PRELUDE_TAP'),
    "clock-put-back-ignored": (TAP, "  if put_back then return PUT_BACK, 0, 0 end\n", "", "in_doubt::"),
    "record-not-looked-for": (KEYED, "  local status, count, revision = replay(record, form, reaction)\n",
        "  local status, count, revision\n", "contract:: in_doubt::"),
    "record-not-kept": (KEYED, "    call('SET', record, kept, 'PX', record_retention)\n", "", "contract:: in_doubt::"),
    "record-kept-of-a-failure": (KEYED, "  if status >= 0 then\n", "  if status then\n", "redis_store::"),
    "record-kept-for-ever": (KEYED, "call('SET', record, kept, 'PX', record_retention)", "call('SET', record, kept)", "http_idempotency::"),
    "record-of-another-form-answered": (KEYED, "made ~= form or name ~= reaction", "name ~= reaction", "contract::"),
    "record-of-another-reaction-answered": (KEYED, "made ~= form or name ~= reaction", "made ~= form", "contract::"),
    "replay-not-said": (KEYED, "  return status + 4, tonumber(count)", "  return tonumber(status), tonumber(count)", "contract::"),
    "key-shared-by-all-users": ("src/domain/idempotency.rs", "[&user.get().to_be_bytes(), text.as_bytes()].concat()",
        "[&(user.get() & 0).to_be_bytes(), text.as_bytes()].concat()", "contract:: idempotency::"),
    "keyless-sent-again": (CALL, "            Item::Tap(tap, _) => tap.keyed.is_some(),\n            Item::Summary(..) | Item::Reactors(..) => true,",
        "            Item::Tap(..) | Item::Summary(..) | Item::Reactors(..) => true,", "in_doubt:: faults::"),
    "keyed-not-sent-again": (CALL, "            Item::Tap(tap, _) => tap.keyed.is_some(),\n            Item::Summary(..) | Item::Reactors(..) => true,",
        "            Item::Tap(..) => false,\n            Item::Summary(..) | Item::Reactors(..) => true,", "in_doubt::"),
    "refused-not-sent-again": ("src/store/redis/batch.rs", "        Verdict::Passing => Some(call),\n",
        "        Verdict::Passing => {\n            call.fail(StoreError::Unavailable(String::new()));\n            None\n        }\n", "in_doubt::"),
    "out-of-time-not-sent-again": ("src/store/redis/batch.rs", "if reply::is_out_of_time(elements) &&", "if false && reply::is_out_of_time(elements) &&", "in_doubt::"),
    "doubt-forgotten": (CALL, "        Err(_) if doubt => Err(StoreError::OutcomeUnknown),\n", "", "in_doubt::"),
    "memory-record-left-out": (MEMORY, "        self.records.keep(tap, outcome, now);\n", "        let _ = Records::keep;\n", "contract::"),
    "memory-lock-released": ("src/store/memory/mod.rs",
        "            partition.tap(&tap, now()).map_err(|KeyReused| StoreError::KeyReused)\n        })",
        """            Ok(partition.summary(tap.post, Some(tap.user), 0, now()))
        })
        .and_then(|seen| {
            let mine = seen.reactions.iter().any(|r| r.reaction == tap.reaction && r.mine == Some(true));
            let mut tap = tap.clone();
            if tap.verb == crate::domain::Verb::Toggle {
                tap.verb = if mine { crate::domain::Verb::Unset } else { crate::domain::Verb::Set };
            }
            std::thread::yield_now();
            self.on(tap.post.partition(), |partition| {
                partition.tap(&tap, now()).map_err(|KeyReused| StoreError::KeyReused)
            })
        })"""),
    "memory-deadline-ignored": ("src/store/memory/mod.rs", "if deadline.has_passed() {", "if false && deadline.has_passed() {"),
    "memory-log-left-out": (MEMORY, "            self.append(change, now);\n", "            let _ = (change, Self::append);\n"),
    "memory-log-never-trimmed": (MEMORY, "            self.log.pop_front();\n", "            break;\n"),
    "file-answered-before-the-sync": (WRITER, "        txn.commit().map_err(",
        "        done.drain(..).for_each(|(caller, answer)| drop(caller.send(answer)));\n        txn.commit().map_err(", FILE_TESTS),
    "live-events-not-gathered": (BOARD, "const PACE: Duration = Duration::from_millis(100);",
        "const PACE: Duration = Duration::ZERO;", "http_stream::"),
    "live-snapshots-left-out": (INBOX, "                state.queue = (0..", "                let _: VecDeque<u8> = (0..",
        "http_stream:: inbox::"),
    "live-every-event-queued": (INBOX, "        } else if !replaced {", "        } else {", "inbox::"),
    "live-going-back-untold": (INBOX, "                state.close();\n                return Put::WentBack;",
        "                return Put::Known;", "inbox::"),
    "live-streams-go-on-at-a-stop": ("src/live/hub.rs", "        self.0.board().close();\n", "", "http_stream:: http_server::"),
    "live-followed-anew-and-not-read": (BOARD, "self.stir_all(partition, true, now)",
        "self.partitions[partition.index()].followed = true", "board::"),
    "live-streams-take-all-connections": ("src/app.rs", "Hub::new(room - (room / 4).min(KEPT_FROM_STREAMS))", "Hub::new(room)", "http_stream::"),
    "live-refused-streams-keep-their-place": ("src/http/routes/stream.rs", "            response.headers_mut().insert(CONNECTION, CLOSE);\n", "            response.headers_mut();\n", "http_stream::"),
    "live-nothing-read-unheard-of": (BOARD, "        turn.into_iter().for_each(", "        turn.into_iter().skip(1).for_each(", "board::"),
    "live-read-again-in-bursts": ("src/live/recheck.rs", "now.max(self.at + TURN.max(took))", "self.at + TURN.max(took)", "recheck::"),
    "live-read-again-whatever-it-costs": ("src/live/recheck.rs", "TURN.max(took)", "TURN.min(took)", "recheck::"),
    "live-stale-streams-left-open": (BOARD, "            if standing.is_stale(now) {", "            if false && standing.is_stale(now) {",
        "http_stream_faults::"),
    "live-old-reads-for-new-watchers": (BOARD, "watcher.joined_after >= read.number", "false && watcher.joined_after >= read.number", "board::"),
    "live-client-that-left-unnoticed": (CONNECTION, "self.watch.is_in(Phase::Endless) && self.poll_gone(cx)", "false && self.poll_gone(cx)", "http_stream::"),
    "live-stream-taken-for-idle": (CONNECTION, "if endless { Phase::Endless } else { Phase::Idle }", "if endless { Phase::Idle } else { Phase::Idle }", "http_stream::"),
    "live-vanished-peer-kept": ("src/http/serve.rs", "Some(2 * limits.write_timeout)", "None", "http_stream::"),
    "idle-while-an-answer-waits": (CONNECTION, "self.is_in(Phase::Idle) && stalled == 0 &&", "self.is_in(Phase::Idle) &&", "http_server::"),
    "idle-since-an-answer-began": (CONNECTION, "if taken && self.is_in(Phase::Idle) {", "if false && taken {", "http_server::"),
    "live-slow-reader-kept": (CONNECTION, "        if stalled > 0 && since", "        if false && since", "http_stream_faults::"),
    "commits-not-told-to-followers": (WRITER, "        self.shared.committed.notify_waiters();\n", "", "contract::file::law_13"),
    "memory-not-told-to-followers": ("src/store/memory/mod.rs", "            self.appended.notify_waiters();\n", "", "contract::memory::law_13"),
    "cors-under-the-errors": ("src/http/router.rs", "    let router = router\n        .method_not_allowed_fallback",
        "    if let Some(cors) = cors.clone() {\n        router = router.layer(cors);\n    }\n"
        "    let cors: Option<tower_http::cors::CorsLayer> = None;\n    let router = router\n        .method_not_allowed_fallback", "http_cors::"),
    "foreign-pages-write": ("src/http/foreign.rs", "if method.is_safe() || !matches!", "if true || method.is_safe() || !matches!", "http_cors::"),
    "foreign-pages-of-the-site-write": ("src/http/foreign.rs", 'b"same-site" | b"cross-site"', 'b"cross-site"', "http_cors::"),
    "file-sync-left-out": (BACKEND, "        let synced = self.inner.sync_data();\n", "        let synced = Ok(());\n", FILE_TESTS),
    "file-failed-commit-called-refused": (WRITER, "        let unknown = committing &&", "        let unknown = false && committing &&", FILE_TESTS),
    "file-failed-sync-forgiven": (WRITER, "        if self.opener.sync_failed.load(Ordering::Acquire) {", "        if false {", FILE_TESTS),
    "file-deadline-ignored": (WRITER, "            if job.deadline.has_passed() {", "            if false && job.deadline.has_passed() {", FILE_TESTS),
    "file-given-up-and-yet-applied": (WRITER, "            if job.turn.send(()).is_err() {", "            if job.turn.send(()).is_err() && false {", FILE_TESTS),
    "file-overdue-shows-up-later": (WRITER, "            self.shared.committing.send_replace(first);\n", "            let _ = first;\n", "file_store::"),
    "file-floor-not-raised": (WRITER, "self.top.floor.max(Revision::without_state(now))", "self.top.floor", FILE_TESTS),
    "file-floor-from-the-clock-alone": (WRITER, "self.top.floor.max(Revision::without_state(now))", "Revision::without_state(now)", FILE_TESTS),
    "file-first-revision-below-the-floor": (STEP, "Revision::next(Some(revision), now)", "Revision::next(head, now)", FILE_TESTS),
    "file-count-not-moved": (STEP, "(true, kept.saturating_add(1))", "(true, kept)", FILE_TESTS),
    "file-few-not-counted": (STEP, "if counted > COUNTED as u64 {", "if counted > 0 {", FILE_TESTS),
    "file-zero-count-left": (STEP, "        if count == 0 {\n", "        if false {\n", FILE_TESTS),
    "file-order-left-behind": (STEP, "                self.posts.remove(&place[..])?;\n", "                let _ = place;\n", FILE_TESTS),
    "file-log-entry-left-out": (STEP, "            log::append(&mut self.log, &change(tap, active, revision, now), now)?;\n",
        "            let _ = (log::append, change(tap, active, revision, now));\n", FILE_TESTS),
    "file-log-entry-overwritten": (FILE_LOG, "if millis >= now =>", "if millis >= now && false =>", FILE_TESTS),
    "file-log-never-trimmed": (FILE_LOG, "        if !occurred_at(", "        if true || !occurred_at(", FILE_TESTS),
    "file-log-trimmed-in-turn-alone": (STEP, "            log::trim(&mut self.log, partition, now, change_log, enough(come))?;\n", "            let _ = (partition, enough(come));\n", "file_store::"),
    "file-made-anew-after-a-failure": (OPEN, "if first.get().is_none() && !exists(path)?", "if !exists(path)?", "file_store::"),
    "file-taken-for-another": (OPEN, "is_some_and(|first| first != found)", "is_some_and(|first| false && first != found)", "file_store::"),
    "file-that-went-back-gone-on-with": (WRITER, "if !(self.top.commits..=self.top.commits + 1).contains(&top.commits) {", "if false {", "file_store::"),
    "file-record-not-kept": (RECORDS, "    posts.insert(&keys::record(tap.post, key)[..], &value[..])?;\n", "    let _ = (&posts, &value);\n", FILE_TESTS),
    "file-record-for-ever": (RECORDS, "    if number(0)? <= now.0 {", "    if false && number(0)? <= now.0 {", FILE_TESTS),
    "file-record-never-swept": (RECORDS, "        if then > now.0 {", "        if true {", FILE_TESTS),
    "file-later-record-swept": (RECORDS, "record.filter(|record| record.starts_with(&at.to_be_bytes()))", "record", FILE_TESTS),
    "file-lock-not-taken": (BACKEND, "            self.inner.try_lock_range(a, b)", "            self.inner.try_lock_range(a, b).map(|_| true)", FILE_TESTS),
    "file-grows-with-holes": (BACKEND, "        let grow = || fallocate(", "        if len > 0 {\n            return self.inner.set_len(len);\n        }\n        let grow = || fallocate(", FILE_TESTS),
    "file-filled-not-to-its-end": (BACKEND, "        while from < len {", "        while from + 64 * 1024 <= len {", "backend::"),
    "file-not-checked-at-start": ("src/store/file/mod.rs", "opener.open(true, clock())", "opener.open(false, clock())", FILE_TESTS),
    "file-emptied-taken-for-new": (OPEN, "    if about.len() == 0 {", "    if false {", FILE_TESTS),
    "overload-called-unknown": ("src/store/redis/routes.rs", "call.fail(StoreError::Overloaded);",
        "call.fail(StoreError::OutcomeUnknown);", "redis_store::"),
    "machine-keeps-the-revision": (MACHINE, "        if changed {\n            self.revision", "        if false {\n            self.revision"),
    "machine-lists-oldest-first": (MACHINE, "found.sort_by(|a, b| b.cmp(a));", "found.sort();"),
}

# The burst of the load test and the command line are not needed to catch any of these.
TESTS = "domain:: store:: contract:: redis_store:: differential:: reports:: http_ faults:: in_doubt::"
