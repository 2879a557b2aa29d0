//! Samples, and how they are shown and written.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// All measurements of a run, in the order they were made.
pub(crate) struct Report {
    quick: bool,
    measurements: Vec<Measurement>,
}

struct Measurement {
    name: String,
    unit: &'static str,
    samples: Vec<f64>,
}

impl Report {
    /// Nothing measured yet.
    pub(crate) const fn new(quick: bool) -> Self {
        Self { quick, measurements: Vec::new() }
    }

    /// How often to do what is done `full` times in a full run.
    pub(crate) const fn times(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(5) } else { full }
    }

    /// Records durations, shown as milliseconds.
    pub(crate) fn durations(&mut self, name: impl Into<String>, samples: &[Duration]) {
        self.values(name, "ms", samples.iter().map(|sample| sample.as_secs_f64() * 1000.0).collect());
    }

    /// Records values of any unit.
    pub(crate) fn values(&mut self, name: impl Into<String>, unit: &'static str, samples: Vec<f64>) {
        let measurement = Measurement { name: name.into(), unit, samples };
        let (median, min, max) = measurement.summary();
        let Measurement { name, samples, .. } = &measurement;
        println!("{name:<62} {median:>10.2} {unit}  (min {min:.2}, max {max:.2}, n={})", samples.len());
        self.measurements.push(measurement);
    }
}

impl Measurement {
    /// Median, least and greatest.
    fn summary(&self) -> (f64, f64, f64) {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else { return (f64::NAN, f64::NAN, f64::NAN) };
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) };
        (median, *min, *max)
    }
}

/// The form `interop/bench.mjs` writes.
pub(crate) fn json(report: &Report, node: &str) -> Value {
    let one = |measurement: &Measurement| {
        let (median, min, max) = measurement.summary();
        let Measurement { name, unit, samples } = measurement;
        json!({
            "name": name, "unit": unit, "runs": samples.len(),
            "median": median, "min": min, "max": max, "samples": samples,
        })
    };
    let results: Vec<Value> = report.measurements.iter().map(one).collect();
    json!({ "client": concat!("subrosa ", env!("CARGO_PKG_VERSION")), "node": node, "results": results })
}

/// How long work takes, and what it gives.
pub(crate) async fn timed<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<(Duration, T), E> {
    let begun = Instant::now();
    let done = work.await?;
    Ok((begun.elapsed(), done))
}
