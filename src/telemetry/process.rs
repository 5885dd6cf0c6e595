//! Metrics of the process, under the names that Prometheus' client libraries use.

use procfs::process::{LimitValue, Process as Proc};
use procfs::{boot_time_secs, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// The process, read from `/proc` at each scrape. A metric that cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut show = |name: &str, help: &str, metric: &dyn EncodeMetric| {
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor(name, help, None, kind)?)
        };
        let Ok(process) = Proc::myself() else { return Ok(()) };
        if let Ok(stat) = process.stat() {
            let seconds = |ticks: u64| ticks as f64 / ticks_per_second() as f64;
            let cpu = ConstCounter::new(seconds(stat.utime + stat.stime));
            let help = "CPU time of the process, in user and system mode.";
            show("process_cpu_seconds", help, &cpu)?;
            let resident = ConstGauge::new(stat.rss.saturating_mul(page_size()));
            show("process_resident_memory_bytes", "Resident memory.", &resident)?;
            let virtual_memory = ConstGauge::new(stat.vsize);
            show("process_virtual_memory_bytes", "Virtual memory.", &virtual_memory)?;
            if let Ok(boot) = boot_time_secs() {
                let start = ConstGauge::new(boot as f64 + seconds(stat.starttime));
                let help = "When the process started, since the Unix epoch.";
                show("process_start_time_seconds", help, &start)?;
            }
        }
        if let Ok(open) = process.fd_count() {
            show("process_open_fds", "Open file descriptors.", &ConstGauge::new(open as u64))?;
        }
        if let Ok(limits) = process.limits()
            && let LimitValue::Value(most) = limits.max_open_files.soft_limit
        {
            let help = "The most file descriptors that may be open.";
            show("process_max_fds", help, &ConstGauge::new(most))?;
        }
        Ok(())
    }
}
