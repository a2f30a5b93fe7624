//! The way of documents through their stages: which comes after which, and where they pile up.

use chrono::TimeDelta;

use crate::model::{Stage, StageLink};

/// A backlog that is gone sooner is none to speak of.
const SHORT: TimeDelta = TimeDelta::seconds(30);

/// The most lines of flow.
const CHAINS_MAX: usize = 4;

/// When a backlog will be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drain {
    /// It grows, or stays as it is.
    Never,
    /// Nothing was done of late.
    Stands,
    /// After this time, if all goes on as it does.
    In(TimeDelta),
}

/// The stage at which documents wait longest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bottleneck {
    /// Its place among the stages.
    pub(crate) stage: usize,
    pub(crate) drain: Drain,
    /// By how many documents in [`Stage::WINDOW`] the backlog grew; below zero it shrank.
    pub(crate) growth: i64,
}

/// The stages in the order of their documents' way: first those that begin one, each before those that follow it.
/// `links` are pairs of stages of which the second followed the first. Stages of a circle come as they are.
pub(crate) fn order(stages: &mut [Stage], links: &[StageLink]) {
    stages.sort_by(|a, b| a.name().cmp(&b.name()));
    let depths = depths(stages, links);
    let mut places: Vec<_> = stages.iter().map(|stage| stage.count.stage.clone()).zip(depths).collect();
    // What has no route yet is before all others; those of one depth stay by name.
    places.sort_by_key(|(name, depth)| (name.is_some(), *depth));
    stages.sort_by_key(|stage| places.iter().position(|(name, _)| *name == stage.count.stage));
}

/// How many stages come before each, on the longest way to it.
fn depths(stages: &[Stage], links: &[StageLink]) -> Vec<usize> {
    let links = places(stages, links);
    let mut depths = vec![0; stages.len()];
    // A way without a circle has fewer steps than there are stages.
    for _ in 1..stages.len() {
        for (from, to) in &links {
            depths[*to] = depths[*to].max((depths[*from] + 1).min(stages.len()));
        }
    }
    depths
}

/// The links between stages, as places among them.
fn places(stages: &[Stage], links: &[StageLink]) -> Vec<(usize, usize)> {
    let at = |name: &str| stages.iter().position(|stage| stage.name() == Some(name));
    links.iter().filter_map(|link| Some((at(link.from.as_deref()?)?, at(&link.to)?))).collect()
}

/// The ways of documents, as places among the ordered stages: each begins where none comes before, or where another way
/// divides. At most so many as are read.
pub(crate) fn chains(stages: &[Stage], links: &[StageLink]) -> Vec<Vec<usize>> {
    let links = places(stages, links);
    let follow = |from: usize| links.iter().filter(move |link| link.0 == from).map(|link| link.1);
    let named = (0..stages.len()).filter(|at| stages[*at].name().is_some());
    let first = named.filter(|at| links.iter().all(|link| link.1 != *at || link.0 >= *at));
    let mut begun: Vec<Vec<usize>> = first.map(|at| vec![at]).collect();
    let mut chains: Vec<Vec<usize>> = Vec::new();
    begun.reverse();
    while let Some(mut chain) = begun.pop() {
        while let Some(last) = chain.last().copied() {
            // Only onwards: a circle would have no end.
            let mut next: Vec<_> = follow(last).filter(|to| *to > last).collect();
            next.sort_unstable();
            next.dedup();
            let Some(to) = next.first().copied() else { break };
            begun.extend(next.into_iter().skip(1).map(|to| vec![last, to]));
            chain.push(to);
        }
        chains.push(chain);
        if chains.len() == CHAINS_MAX {
            break;
        }
    }
    chains
}

/// The stage at which documents wait longest; `None` where nothing piles up.
pub(crate) fn bottleneck(stages: &[Stage]) -> Option<Bottleneck> {
    // What has no route waits for a person, not for a worker.
    let named = stages.iter().enumerate().filter(|(_, stage)| stage.name().is_some());
    let found = named.filter_map(|(place, stage)| {
        let (count, window) = (&stage.count, stage.window);
        let (waiting, went) = (count.waiting, window.done + window.dead);
        let growth = signed(window.came) - signed(went);
        // What is taken up at once does not pile up.
        if waiting == 0 || waiting <= count.working && growth <= 0 {
            return None;
        }
        let wait = (went > 0).then(|| {
            let milliseconds = u128::from(waiting) * 1000 * seconds(Stage::WINDOW) / u128::from(went);
            TimeDelta::milliseconds(i64::try_from(milliseconds).unwrap_or(i64::MAX / 1000))
        });
        let drain = match wait {
            None => Drain::Stands,
            Some(wait) if wait < SHORT => return None,
            Some(_) if growth >= 0 && window.came > 0 => Drain::Never,
            Some(_) => {
                let shrinks = u128::from(growth.unsigned_abs()).max(1);
                let milliseconds = u128::from(waiting) * 1000 * seconds(Stage::WINDOW) / shrinks;
                Drain::In(TimeDelta::milliseconds(i64::try_from(milliseconds).unwrap_or(i64::MAX / 1000)))
            }
        };
        Some((wait.unwrap_or(TimeDelta::MAX), waiting, Bottleneck { stage: place, drain, growth }))
    });
    found.max_by_key(|(wait, waiting, _)| (*wait, *waiting)).map(|(.., found)| found)
}

/// So many a second, or a minute where that is less than one.
pub(crate) fn speed(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let per_second = count as f64 / Stage::WINDOW.as_seconds_f64();
    let (value, unit) = if per_second >= 1.0 { (per_second, "s") } else { (per_second * 60.0, "min") };
    match value {
        0.0 => "0/s".to_owned(),
        value if value < 9.95 => format!("{value:.1}/{unit}"),
        value => format!("{value:.0}/{unit}"),
    }
}

fn seconds(time: TimeDelta) -> u128 {
    u128::from(time.num_seconds().unsigned_abs())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FlowSlot, StageCount};

    fn stage(name: &str, waiting: u64, came: u64, done: u64) -> Stage {
        let mut count = StageCount::of((name != "-").then(|| name.to_owned()));
        count.waiting = waiting;
        Stage { count, queue: None, window: FlowSlot { came, done, dead: 0 }, day: Vec::new() }
    }

    fn links(text: &str) -> Vec<StageLink> {
        let link = |link: &str| {
            let (from, to) = link.split_once('>')?;
            Some(StageLink { from: Some(from.to_owned()), to: to.to_owned(), queue: None })
        };
        text.split_whitespace().filter_map(link).collect()
    }

    fn ways(stages: &str, given: &str) -> Vec<String> {
        let mut stages: Vec<_> = stages.split_whitespace().map(|name| stage(name, 0, 0, 0)).collect();
        stages.push(stage("-", 0, 0, 0));
        order(&mut stages, &links(given));
        assert_eq!(stages[0].name(), None, "what has no route is at the top");
        let name = |at: &usize| stages[*at].name().unwrap();
        chains(&stages, &links(given))
            .iter()
            .map(|chain| chain.iter().map(name).collect::<Vec<_>>().join(">"))
            .collect()
    }

    #[test]
    fn stages_come_in_the_order_of_the_way() {
        assert_eq!(ways("load ner ocr collect", "ner>load collect>ocr ocr>ner"), ["collect>ocr>ner>load"]);
        // One that divides, and one that stands alone.
        assert_eq!(ways("a b c d", "a>b a>c"), ["a>b", "a>c", "d"]);
        // A stage that is reached by a long way and a short one.
        assert_eq!(ways("a b c", "a>c a>b b>c"), ["a>b>c", "a>c"]);
        // A circle has an end, and so has a stage that calls itself.
        assert_eq!(ways("a b", "a>b b>a a>a").len(), 1);
        assert_eq!(ways("a", "a>a"), ["a"]);
        assert_eq!(ways("", "a>b"), Vec::<String>::new());
    }

    #[test]
    fn a_rate_has_a_unit_in_which_it_is_no_small_fraction() {
        assert_eq!([0, 1, 299, 300, 63_000].map(speed), ["0/s", "0.2/min", "60/min", "1.0/s", "210/s"]);
    }

    #[test]
    fn the_slowest_stage_is_the_one_at_which_documents_wait_longest() {
        let found = |stages: &[Stage]| bottleneck(stages).map(|found| (found.stage, found.drain));
        assert_eq!(found(&[]), None);
        // 300 done in five minutes are one a second.
        assert_eq!(found(&[stage("a", 20, 300, 300)]), None, "gone in 20 s");
        assert_eq!(found(&[stage("a", 60, 300, 300), stage("b", 600, 300, 300)]), Some((1, Drain::Never)));
        assert_eq!(
            found(&[stage("a", 600, 0, 300)]),
            Some((0, Drain::In(TimeDelta::minutes(10)))),
            "600 at one a second"
        );
        assert_eq!(
            found(&[stage("a", 600, 150, 300)]),
            Some((0, Drain::In(TimeDelta::minutes(20)))),
            "it shrinks by half a one a second"
        );
        // Nothing at all is done: that is worse than any speed.
        assert_eq!(found(&[stage("a", 9_000, 300, 1), stage("b", 3, 0, 0)]), Some((1, Drain::Stands)));
        assert_eq!(bottleneck(&[stage("a", 900, 600, 300)]).unwrap().growth, 300);
        assert_eq!(found(&[stage("-", 900, 0, 0)]), None, "it waits for a route");
        let huge = stage("a", u64::MAX / 4, 0, 1);
        assert!(matches!(found(&[huge]), Some((0, Drain::In(_)))), "no overflow");
    }
}
