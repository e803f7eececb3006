//! How long a decoding step takes, and how long a draft pays.
//!
//! A step reads all weights however many rows it has, so a few rows more cost little until the
//! arithmetic takes longer than the reading. Where that is depends on the model and the machine, and
//! is not a smooth curve; so it is measured while the engine works.

use std::time::Duration;

/// The smallest number of rows of each size that is measured on its own; the last has no end.
const SIZES: [usize; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

/// Share of a measurement that a new one replaces, once there are enough for a mean.
const NEWS: f64 = 1.0 / 8.0;

/// A size that was not seen in as many steps is measured anew: the machine may have been busy.
const FORGOTTEN_AFTER: u64 = 4096;

/// Where nothing is measured, rows that double the time of a step: what reading the weights costs, in
/// rows.
const NEUTRAL_ROWS: f64 = 8.0;

/// Seconds of a row, while no step at all has been measured.
const NEUTRAL_SECONDS: f64 = 0.001;

/// What a draft must promise: less than that is lost in what surrounds a step.
const WORTHWHILE: f64 = 1.01;

/// The time of a step by its number of rows, learnt from steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepCost {
    points: [Option<Point>; SIZES.len()],
    /// Steps measured so far.
    steps: u64,
}

/// The steps of one size: their mean number of rows and of seconds, the new ones counting more.
#[derive(Clone, Copy, Debug)]
struct Point {
    rows: f64,
    seconds: f64,
    steps: u32,
    last_step: u64,
}

impl StepCost {
    /// Nothing measured yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A step of `rows` rows took so long. One without rows says nothing.
    pub(crate) fn record(&mut self, rows: usize, duration: Duration) {
        let Some(size) = SIZES.iter().rposition(|&first| first <= rows) else {
            return;
        };
        self.steps += 1;
        let known = self.points[size].filter(|point| self.remembers(point));
        let mut point = known.unwrap_or(Point {
            rows: 0.0,
            seconds: 0.0,
            steps: 0,
            last_step: 0,
        });
        point.add(rows as f64, duration.as_secs_f64());
        point.last_step = self.steps;
        self.points[size] = Some(point);
    }

    /// Seconds that a step of `rows` rows will take: on the line between the measured sizes around it,
    /// or on the line through the nearest two.
    ///
    /// Outside of what is measured, a row more costs no more than if reading the weights took the time
    /// of a few rows. So a size that nobody measured looks cheap enough to be tried, and then is known.
    pub(crate) fn estimate(&self, rows: usize) -> f64 {
        let rows = rows.max(1) as f64;
        let measured = self.points.iter().flatten();
        let mut above = measured.filter(|point| self.remembers(point)).peekable();
        let (mut before, mut last) = (None, None);
        while let Some(point) = above.next_if(|point| point.rows <= rows) {
            before = last.replace(point);
        }
        match (last, above.next()) {
            (Some(low), Some(high)) => low.on_line(low.slope(high), rows),
            (Some(low), None) => low.beyond(before, rows),
            (None, Some(high)) => high.beyond(above.next(), rows),
            (None, None) => NEUTRAL_SECONDS * (NEUTRAL_ROWS + rows),
        }
    }

    fn remembers(&self, point: &Point) -> bool {
        self.steps - point.last_step < FORGOTTEN_AFTER
    }
}

impl Point {
    fn add(&mut self, rows: f64, seconds: f64) {
        self.steps = self.steps.saturating_add(1);
        let news = NEWS.max(1.0 / f64::from(self.steps));
        self.rows += (rows - self.rows) * news;
        self.seconds += (seconds - self.seconds) * news;
    }

    /// Seconds that a row more takes from here to another point.
    fn slope(&self, other: &Self) -> f64 {
        (other.seconds - self.seconds) / (other.rows - self.rows)
    }

    /// The same where this is the only point.
    fn neutral_slope(&self) -> f64 {
        self.seconds / (NEUTRAL_ROWS + self.rows)
    }

    fn on_line(&self, slope: f64, rows: f64) -> f64 {
        self.seconds + slope * (rows - self.rows)
    }

    /// On the line that comes from `neighbour`, this being the first point or the last.
    fn beyond(&self, neighbour: Option<&Self>, rows: f64) -> f64 {
        let most = self.neutral_slope();
        let slope = neighbour.map_or(most, |point| self.slope(point));
        self.on_line(slope.clamp(0.0, most), rows)
    }
}

/// How many drafted tokens, of at most `most`, to add to a step of `rows` rows, each of which brings a
/// token: the number that gives the most tokens a second, or 0 if that is no more than without.
///
/// A drafted token is right with probability `p` if those before it are, so `d` of them bring
/// `p + p² + … + p^d` tokens more, and the step has `rows + d` rows.
pub(crate) fn best_draft_length(p: f64, rows: usize, most: usize, cost: &StepCost) -> usize {
    let p = p.clamp(0.0, 1.0);
    let mut tokens = rows.max(1) as f64;
    let mut best_speed = WORTHWHILE * tokens / cost.estimate(rows);
    let mut best = 0;
    let mut all_right = 1.0;
    for drafted in 1..=most {
        all_right *= p;
        tokens += all_right;
        let speed = tokens / cost.estimate(rows + drafted);
        if speed > best_speed {
            (best, best_speed) = (drafted, speed);
        }
    }
    best
}

#[cfg(test)]
mod tests;
