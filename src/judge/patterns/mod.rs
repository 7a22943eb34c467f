//! Patterns in what instances write, and those that only the canary has.
//!
//! Lines are sorted into templates by a tree of fixed depth (length, then first word) and a threshold of likeness, after the method of
//! P. He et al., "Drain: an online log parsing approach with fixed depth tree" (2017). The crates for it are young and hold locks, files
//! or unbounded tables; this is small, bounded and the same for the same lines. Both sides share one set of templates, so that counts
//! compare.

mod mask;

use crate::domain::Track;
use crate::domain::log::{LogLevel, LogLine};
use chrono::{DateTime, TimeDelta, Utc};
use mask::{ANY, tokens};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Templates kept. More kinds of lines than this are no patterns any more.
const CLUSTERS: usize = 512;
/// Templates of one leaf that a line is compared with.
const LEAF: usize = 24;
/// Share of tokens that must be the same for a line to belong to a template.
const LIKENESS: f64 = 0.6;
/// Instances counted per template and side.
const INSTANCES: usize = 16;
/// A pattern is new when its rate on the baseline is at most this share of the canary's.
const RARER: f64 = 0.2;
/// And when chance would do the same less often than this.
const CHANCE: f64 = 0.01;
/// Ordinary lines of a side that count as a look at it.
const LOOK: u64 = 20;
/// A pattern that was not seen for so long is history.
const LATELY: TimeDelta = TimeDelta::minutes(5);

/// Names a template as long as the patterns live.
pub type PatternId = u32;

/// What is known of one template on one side.
#[derive(Debug, Clone, Default, PartialEq)]
struct Tally {
    count: u64,
    instances: BTreeMap<Arc<str>, u64>,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Cluster {
    tokens: Vec<String>,
    level: LogLevel,
    sides: [Tally; 2],
    example: Arc<str>,
}

/// How much of a side was seen.
#[derive(Debug, Clone, Default, PartialEq)]
struct Seen {
    /// Lines below a warning: the ordinary work.
    ordinary: u64,
    lines: u64,
    /// First and last line of each instance.
    spans: BTreeMap<Arc<str>, (DateTime<Utc>, DateTime<Utc>)>,
}

impl Seen {
    fn seconds(&self) -> f64 {
        self.spans.values().map(|(first, last)| (*last - *first).num_milliseconds().max(0) as f64 / 1000.0).sum()
    }
}

/// The templates of both sides.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patterns {
    clusters: Vec<Cluster>,
    leaves: BTreeMap<(usize, String), Vec<PatternId>>,
    seen: [Seen; 2],
}

/// A template with its counts on one side.
#[derive(Debug, Clone, PartialEq)]
pub struct SideCount {
    /// Lines.
    pub count: u64,
    /// Instances that wrote any.
    pub instances: usize,
    /// Lines a minute and instance, over the time that was read.
    pub per_minute: f64,
}

/// A pattern that the canary has and the baseline has not, or far more rarely.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPattern {
    /// Its template.
    pub id: PatternId,
    /// `ledger: amount differs for order=<*>`.
    pub template: String,
    /// The loudest level it was written with.
    pub level: LogLevel,
    /// On the canary.
    pub canary: SideCount,
    /// On the baseline.
    pub baseline: SideCount,
    /// First line of it on the canary.
    pub first: DateTime<Utc>,
    /// Last line of it on the canary.
    pub last: DateTime<Utc>,
    /// One of its lines.
    pub example: Arc<str>,
}

impl NewPattern {
    /// Whether it asks for a look before going on: an error that is repeated (three times on two instances, or ten times), and lately.
    #[must_use]
    pub fn is_watch(&self, now: DateTime<Utc>) -> bool {
        let repeated = self.canary.count >= 3 && self.canary.instances >= 2 || self.canary.count >= 10;
        self.level.is_error() && repeated && now - self.last <= LATELY
    }
}

fn side(track: Track) -> usize {
    match track {
        Track::Canary => 0,
        Track::Baseline => 1,
    }
}

impl Patterns {
    /// Takes note of a line; gives its template, or nothing when there are more kinds of lines than are kept.
    pub fn learn(&mut self, line: &LogLine) -> Option<PatternId> {
        let seen = &mut self.seen[side(line.track)];
        seen.lines += 1;
        seen.ordinary += u64::from(line.level < LogLevel::Warn);
        if let Some((first, last)) = seen.spans.get_mut(&line.instance) {
            (*first, *last) = ((*first).min(line.at), (*last).max(line.at));
        } else if seen.spans.len() < INSTANCES * 8 {
            seen.spans.insert(line.instance.clone(), (line.at, line.at));
        }
        let id = self.place(line)?;
        let cluster = self.clusters.get_mut(id as usize)?;
        cluster.level = cluster.level.max(line.level);
        if line.track == Track::Canary && cluster.sides[0].count == 0 {
            cluster.example = line.text.clone();
        }
        let tally = &mut cluster.sides[side(line.track)];
        tally.count += 1;
        tally.first = Some(tally.first.map_or(line.at, |at| at.min(line.at)));
        tally.last = tally.last.max(Some(line.at));
        if let Some(count) = tally.instances.get_mut(&line.instance) {
            *count += 1;
        } else if tally.instances.len() < INSTANCES {
            tally.instances.insert(line.instance.clone(), 1);
        }
        Some(id)
    }

    /// The template of a line, made more general or anew where none fits. An error never joins a template of quieter lines.
    fn place(&mut self, line: &LogLine) -> Option<PatternId> {
        let words = tokens(&line.text);
        let head = words.first().filter(|word| !word.contains('<')).cloned().unwrap_or_default();
        let key = (words.len(), head);
        if self.clusters.len() >= CLUSTERS && !self.leaves.contains_key(&key) {
            return None;
        }
        let leaf = self.leaves.entry(key).or_default();
        let loud = line.level.is_error();
        let alike = |id: &PatternId| {
            let cluster = self.clusters.get(*id as usize)?;
            if cluster.level.is_error() != loud {
                return None;
            }
            let same = cluster.tokens.iter().zip(&words).filter(|(kept, word)| kept == word).count();
            let free = cluster.tokens.iter().filter(|kept| *kept == ANY).count();
            let fits = (same + free) as f64 >= LIKENESS * words.len() as f64 && (same > 0 || words.is_empty());
            fits.then_some((same, *id))
        };
        if let Some((_, id)) = leaf.iter().filter_map(alike).max_by_key(|(same, id)| (*same, std::cmp::Reverse(*id))) {
            for (kept, word) in self.clusters[id as usize].tokens.iter_mut().zip(&words) {
                if kept != word {
                    ANY.clone_into(kept);
                }
            }
            return Some(id);
        }
        if self.clusters.len() >= CLUSTERS || leaf.len() >= LEAF {
            return None;
        }
        let id = PatternId::try_from(self.clusters.len()).ok()?;
        leaf.push(id);
        self.clusters.push(Cluster { tokens: words, level: line.level, sides: Default::default(), example: line.text.clone() });
        Some(id)
    }

    /// The words of a template.
    #[must_use]
    pub fn template(&self, id: PatternId) -> Option<String> {
        self.clusters.get(id as usize).map(|cluster| cluster.tokens.join(" "))
    }

    /// Lines learned on a side.
    #[must_use]
    pub fn lines(&self, track: Track) -> u64 {
        self.seen[side(track)].lines
    }

    /// Whether enough was seen of both sides to compare them.
    #[must_use]
    pub fn can_compare(&self) -> bool {
        self.canary_part().is_some()
    }

    /// The canary's part of all that was seen: by ordinary lines where both sides write them, else by time. A flood of errors does not
    /// make it larger. `None` while too little of either side was seen.
    fn canary_part(&self) -> Option<f64> {
        let [canary, baseline] = &self.seen;
        if canary.ordinary >= LOOK && baseline.ordinary >= LOOK {
            return Some(canary.ordinary as f64 / (canary.ordinary + baseline.ordinary) as f64);
        }
        let (canary, baseline) = (canary.seconds(), baseline.seconds());
        (canary >= 30.0 && baseline >= 30.0).then(|| canary / (canary + baseline))
    }

    /// What is new on the canary: the loudest first, then the most frequent.
    #[must_use]
    pub fn new_on_canary(&self) -> Vec<NewPattern> {
        let Some(part) = self.canary_part() else { return Vec::new() };
        let mut new: Vec<NewPattern> = (0..).zip(&self.clusters).filter_map(|(id, cluster)| self.judge(id, cluster, part)).collect();
        new.sort_by(|a, b| (b.level, b.canary.count, a.id).cmp(&(a.level, a.canary.count, b.id)));
        new
    }

    fn judge(&self, id: PatternId, cluster: &Cluster, part: f64) -> Option<NewPattern> {
        let [canary, baseline] = &cluster.sides;
        let (here, there) = (canary.count as f64, baseline.count as f64);
        if canary.count == 0 || there / (1.0 - part) > RARER * here / part || chance(here, there, part) > CHANCE {
            return None;
        }
        Some(NewPattern {
            id,
            template: cluster.tokens.join(" "),
            level: cluster.level,
            canary: self.count(Track::Canary, canary),
            baseline: self.count(Track::Baseline, baseline),
            first: canary.first?,
            last: canary.last?,
            example: cluster.example.clone(),
        })
    }

    fn count(&self, track: Track, tally: &Tally) -> SideCount {
        let minutes = self.seen[side(track)].seconds() / 60.0;
        let per_minute = if minutes > 0.0 { tally.count as f64 / minutes } else { 0.0 };
        SideCount { count: tally.count, instances: tally.instances.len(), per_minute }
    }
}

/// At most how likely it is that chance alone puts so many of all lines of a pattern on the canary, whose part of everything is `part`
/// (Chernoff's bound of the binomial tail).
fn chance(canary: f64, baseline: f64, part: f64) -> f64 {
    let all = canary + baseline;
    let share = canary / all;
    if share <= part {
        return 1.0;
    }
    let distance = share * (share / part).ln() + if baseline > 0.0 { (1.0 - share) * ((1.0 - share) / (1.0 - part)).ln() } else { 0.0 };
    (-all * distance).exp()
}

#[cfg(test)]
mod tests;
