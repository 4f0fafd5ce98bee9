//! Repetitions of one measurement.

/// One value per repetition. The machine is never quiet, so the median is used and the spread reported.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The median; NaN without samples.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The quantile `at`, 0 to 1; NaN without samples.
    pub(crate) fn quantile(&self, at: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (at * sorted.len().saturating_sub(1) as f64).round() as usize;
        sorted.get(rank).copied().unwrap_or(f64::NAN)
    }

    /// The difference between the largest and the smallest value, divided by the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.quantile(1.0) - self.quantile(0.0)) / self.median()
    }

    /// Combines samples pairwise, because values of the same repetition were measured together.
    pub(crate) fn zip_with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(&left, &right)| combine(left, right)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disturbed_repetition_does_not_move_the_median() {
        let mut samples = Samples::default();
        [10.0, 11.0, 12.0, 11.0, 500.0].into_iter().for_each(|value| samples.add(value));
        assert_eq!(samples.median(), 11.0);
        assert_eq!(samples.quantile(1.0), 500.0);
    }

    #[test]
    fn comparing_goes_pair_by_pair() {
        let (mut left, mut right) = (Samples::default(), Samples::default());
        [2.0, 40.0, 3.0].into_iter().for_each(|value| left.add(value));
        [1.0, 20.0, 1.5].into_iter().for_each(|value| right.add(value));
        let ratio = left.zip_with(&right, |left, right| left / right);
        assert_eq!((ratio.median(), ratio.spread()), (2.0, 0.0));
    }
}
