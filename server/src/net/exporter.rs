//! What the process counts of itself besides INFO, for Prometheus: `GET /metrics` at `metrics-port`.
//!
//! The crate `metrics` keeps the counters; without `metrics-port` they are not kept at all. HTTP is spoken as far as a scraper
//! needs it: one request, one answer, and the end of the connection.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::listener;

/// Longest request; a longer one is not answered.
const MAX_REQUEST_BYTES: usize = 8 << 10;

/// How long a scraper may take.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Scrapers that are answered at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 16;

/// Seconds by which durations are counted: checkpoints take milliseconds to seconds.
const BUCKETS_SECONDS: &[f64] = &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Where scrapers connect to, and the counters.
pub(super) struct Exporter {
    listeners: Vec<std::net::TcpListener>,
    counters: PrometheusHandle,
}

impl Exporter {
    /// Begins to keep counters, for the whole process.
    pub(super) fn new(listeners: Vec<std::net::TcpListener>) -> anyhow::Result<Self> {
        let builder = PrometheusBuilder::new().set_buckets(BUCKETS_SECONDS)?;
        let counters = builder
            .install_recorder()
            .context("counters are kept already")?;
        Ok(Self {
            listeners,
            counters,
        })
    }

    /// What is to be polled for scrapers to be answered, for each listener.
    pub(super) fn serve(self) -> anyhow::Result<Vec<impl Future<Output = ()> + Send + 'static>> {
        let counters = self.counters;
        let listeners = self.listeners.into_iter().map(TcpListener::from_std);
        listeners
            .map(|listener| Ok(accept(listener?, counters.clone())))
            .collect()
    }
}

async fn accept(listener: TcpListener, counters: PrometheusHandle) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                listener::out_of_files(&error).await;
                continue;
            }
        };
        let counters = counters.clone();
        tokio::spawn(async move {
            let answered = timeout(TIME_LIMIT, answer(stream, &counters)).await;
            if !matches!(answered, Ok(Ok(()))) {
                tracing::debug!("a scraper went away, or was too slow");
            }
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, counters: &PrometheusHandle) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !ends(&request) {
        if request.len() > MAX_REQUEST_BYTES || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = if is_for_metrics(&request) {
        counters.run_upkeep();
        ("200 OK", counters.render())
    } else {
        ("404 Not Found", "the counters are at /metrics\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// Whether the head of a request is complete.
fn ends(request: &[u8]) -> bool {
    request.windows(4).any(|end| end == b"\r\n\r\n")
}

/// Whether it is `GET /metrics`, with or without a query.
fn is_for_metrics(request: &[u8]) -> bool {
    let mut words = request.split(|&byte| byte == b' ');
    let is_get = words.next() == Some(b"GET");
    let path = words
        .next()
        .and_then(|target| target.split(|&byte| byte == b'?').next());
    is_get && path == Some(b"/metrics")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_for_the_counters() {
        for (request, expected) in [
            ("GET /metrics HTTP/1.1\r\n\r\n", true),
            ("GET /metrics?name[]=a HTTP/1.0\r\n\r\n", true),
            ("GET / HTTP/1.1\r\n\r\n", false),
            ("GET /metricsx HTTP/1.1\r\n\r\n", false),
            ("POST /metrics HTTP/1.1\r\n\r\n", false),
            ("\r\n\r\n", false),
        ] {
            assert!(ends(request.as_bytes()), "{request}");
            assert_eq!(is_for_metrics(request.as_bytes()), expected, "{request}");
        }
        assert!(!ends(b"GET /metrics HTTP/1.1\r\n"));
    }
}
