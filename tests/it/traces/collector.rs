//! A collector of OpenTelemetry traces, as far as a client can tell.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// The bodies that a collector has received.
#[derive(Clone, Default)]
pub(super) struct Collected(Arc<Mutex<Vec<Vec<u8>>>>);

/// A collector at a free port, which takes what comes.
pub(super) fn collector() -> (String, Collected) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let collected = Collected::default();
    let bodies = collected.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let bodies = bodies.clone();
            std::thread::spawn(move || while bodies.receive(&stream).is_some() {});
        }
    });
    (format!("http://{address}"), collected)
}

impl Collected {
    /// One request, answered.
    fn receive(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        assert!(line.starts_with("POST /v1/traces HTTP/1.1"), "{line}");
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let header = line.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            assert!(!header.starts_with("content-type:") || header.contains("x-protobuf"));
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        self.0.lock().unwrap().push(body);
        (&mut &*stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
    }

    /// What has come so far, as text.
    pub(super) fn texts(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|body| String::from_utf8_lossy(body).into()).collect()
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// All spans so far, by name, and the service that they are of.
    pub(super) fn spans(&self) -> (Vec<Span>, Vec<KeyValue>) {
        let (mut spans, mut service) = (Vec::new(), Vec::new());
        for body in self.0.lock().unwrap().iter() {
            for resource in ExportTraceServiceRequest::decode(&body[..]).unwrap().resource_spans {
                service = resource.resource.unwrap().attributes;
                spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        spans.sort_by(|one, other| one.name.cmp(&other.name));
        (spans, service)
    }
}
