//! What a benchmark measured, over all its rounds.

use serde_json::Value;

use crate::Failed;

/// The measurements of one client.
#[derive(Default)]
pub(crate) struct Samples {
    /// Name and version of the client.
    pub(crate) client: String,
    measurements: Vec<(String, Measurement)>,
}

/// One measurement: all samples of all rounds, least first.
#[derive(Debug, Default)]
pub(crate) struct Measurement {
    /// ms, MiB or KiB.
    pub(crate) unit: String,
    samples: Vec<f64>,
}

impl Samples {
    /// Adds the measurements of a round, as the benchmarks write them.
    pub(crate) fn add(&mut self, json: &str) -> Result<(), Failed> {
        let round: Value = serde_json::from_str(json)?;
        round["client"].as_str().unwrap_or("unknown").clone_into(&mut self.client);
        for result in round["results"].as_array().into_iter().flatten() {
            let name = result["name"].as_str().unwrap_or_default();
            let at = self.measurements.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                self.measurements.push((name.to_owned(), Measurement::default()));
                self.measurements.len() - 1
            });
            let measurement = &mut self.measurements[at].1;
            result["unit"].as_str().unwrap_or_default().clone_into(&mut measurement.unit);
            measurement.samples.extend(result["samples"].as_array().into_iter().flatten().filter_map(Value::as_f64));
            measurement.samples.sort_by(f64::total_cmp);
        }
        Ok(())
    }

    /// The measurement of this name, if it was made.
    pub(crate) fn get(&self, name: &str) -> Option<&Measurement> {
        self.measurements.iter().find(|(known, m)| known == name && !m.samples.is_empty()).map(|(_, m)| m)
    }
}

impl Measurement {
    /// How many samples there are.
    pub(crate) const fn count(&self) -> usize {
        self.samples.len()
    }

    /// The middle sample, or the mean of the two in the middle.
    pub(crate) fn median(&self) -> f64 {
        let half = self.samples.len() / 2;
        match (self.samples.len() % 2, self.samples.get(half)) {
            (1, Some(middle)) => *middle,
            (0, Some(upper)) => f64::midpoint(self.samples[half - 1], *upper),
            _ => f64::NAN,
        }
    }

    /// The least and the greatest sample.
    pub(crate) fn spread(&self) -> (f64, f64) {
        (self.samples.first().copied().unwrap_or(f64::NAN), self.samples.last().copied().unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_put_together() -> Result<(), Failed> {
        let mut samples = Samples::default();
        samples.add(r#"{"client": "c 1", "results": [{"name": "a", "unit": "ms", "samples": [3, 9.5]}]}"#)?;
        samples.add(r#"{"client": "c 1", "results": [{"name": "a", "unit": "ms", "samples": [1, 4]}]}"#)?;
        let a = samples.get("a").ok_or_else(|| Failed("a is missing".into()))?;
        assert_eq!((a.count(), a.spread()), (4, (1.0, 9.5)));
        assert!((a.median() - 3.5).abs() < 1e-9);
        assert!(samples.get("b").is_none());
        Ok(())
    }
}
