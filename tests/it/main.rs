//! All integration tests, in one binary: laws of the stores, the HTTP API, public reports, faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cli;
mod contract;
mod declared_keys;
mod differential;
mod docs;
mod faults;
mod faults_bystander;
mod faults_recorded;
mod faults_recorded_file;
mod file_crash;
mod file_gone;
mod file_store;
mod http_bounds;
mod http_cors;
mod http_idempotency;
mod http_ids;
mod http_limits;
mod http_problems;
mod http_reads;
mod http_revisions;
mod http_server;
mod http_stream;
mod http_stream_faults;
mod http_stream_load;
mod http_taps;
mod http_web;
mod in_doubt;
mod openapi;
mod overload;
mod protocol;
mod redis_acl;
mod redis_cluster;
mod redis_demoted;
mod redis_full;
mod redis_reads;
mod redis_sentinel;
mod redis_store;
mod redis_tls;
mod reports;
mod reports_faults;
mod startup;
mod support;
mod tidy;
