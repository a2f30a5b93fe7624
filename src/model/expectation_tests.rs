use super::*;

fn run(seconds: u64, solved: u64, failed: u64) -> Performance {
    Performance { took: Some(Duration::from_secs(seconds)), solved, failed }
}

/// The baseline after these good runs.
fn after(runs: impl IntoIterator<Item = (u64, u64)>) -> Option<Baseline> {
    let mut baseline = None;
    for (seconds, solved) in runs {
        assert_eq!(Baseline::compare(&mut baseline, run(seconds, solved, 0)), Compared::Usual);
    }
    baseline
}

fn odd(compared: Compared) -> Option<(Rule, String)> {
    match compared {
        Compared::Odd(Suspicion { rule, message }) => Some((rule, message)),
        Compared::Usual | Compared::NewLevel(_) => None,
    }
}

#[test]
fn a_rule_of_the_app_is_broken_beyond_its_figure() {
    let policy = Policy {
        min_solved: 100,
        max_failed_ratio: Some(Ratio::new(0.2).unwrap()),
        min_duration: Some(Duration::from_millis(1500)),
        ..Policy::default()
    };
    for (took, solved, failed, expected) in [
        (1500, 100, 25, None),
        (1500, 99, 0, Some("solved 99, at least 100 expected (min_solved)")),
        (0, 0, 0, Some("solved 0, at least 100 expected (min_solved)")),
        (1500, 100, 26, Some("failed 26 of 126, at most 20% expected (max_failed_ratio)")),
        (
            1500,
            u64::MAX,
            u64::MAX,
            Some(
                "failed 18446744073709551615 of 18446744073709551615, at most 20% expected (max_failed_ratio)",
            ),
        ),
        (1400, 100, 0, Some("took 1.4s, at least 1.5s expected (min_duration)")),
    ] {
        let broken =
            policy.broken_rule(Performance { took: Some(Duration::from_millis(took)), solved, failed });
        assert_eq!(broken.map(|suspicion| suspicion.message).as_deref(), expected);
    }
    for took in [None, Some(Duration::ZERO)] {
        assert_eq!(Policy::default().broken_rule(Performance { took, solved: 0, failed: 9 }), None);
    }
    let ratio = |share| Policy { max_failed_ratio: Ratio::new(share).ok(), ..Policy::default() };
    assert_eq!(ratio(0.0).broken_rule(run(1, 0, 0)), None, "nothing is no ratio");
    assert!(ratio(0.0).broken_rule(run(1, 1_000_000, 1)).is_some());
    assert_eq!(ratio(1.0).broken_rule(run(1, 0, 9)), None);
}

#[test]
fn a_ratio_is_what_was_written() {
    for share in [0.0, 0.05, 0.1, 0.333_333, 0.5, 1.0] {
        assert!((Ratio::new(share).unwrap().as_f64() - share).abs() < f64::EPSILON, "{share}");
    }
    for (share, text) in [(0.2, "20%"), (0.005, "0.5%"), (1.0, "100%")] {
        assert_eq!(Ratio::new(share).unwrap().to_string(), text);
    }
    for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(Ratio::new(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_run_differs_from_ten_good_ones() {
    let few = |text: &str| Some((Rule::FewerThanUsual, text.to_owned()));
    let short = |text: &str| Some((Rule::ShorterThanUsual, text.to_owned()));
    let long = |text: &str| Some((Rule::LongerThanUsual, text.to_owned()));
    for (usual, seen, expected) in [
        // Solved, of a median of 500.
        ((30, 500), (30, 0), few("solved 0, usually 500 (median of 10 good runs)")),
        ((30, 500), (30, 49), few("solved 49, usually 500 (median of 10 good runs)")),
        ((30, 500), (30, 50), None),
        ((30, 500), (30, 9000), None),
        ((30, 1), (30, 0), few("solved 0, usually 1 (median of 10 good runs)")),
        ((30, 0), (30, 0), None),
        ((30, 9), (30, 1), None),
        // Its length.
        ((100, 0), (9, 0), short("took 9.0s, usually 1m40s (median of 10 good runs)")),
        ((100, 0), (10, 0), None),
        ((9, 0), (0, 0), None),
        ((10, 0), (0, 0), short("took 0.0s, usually 10s (median of 10 good runs)")),
        ((30, 0), (150, 0), None),
        ((30, 0), (151, 0), long("took 2m31s, usually 30s (median of 10 good runs)")),
        ((1, 0), (60, 0), None),
        ((1, 0), (61, 0), long("took 1m01s, usually 1.0s (median of 10 good runs)")),
    ] {
        let mut baseline = after([usual; 10]);
        assert_eq!(
            odd(Baseline::compare(&mut baseline, run(seen.0, seen.1, 0))),
            expected,
            "{usual:?} {seen:?}"
        );
        let mut baseline = after([usual; 9]);
        assert_eq!(odd(Baseline::compare(&mut baseline, run(seen.0, seen.1, 0))), None, "nine are too few");
    }
}

#[test]
fn what_one_of_the_last_twenty_did_is_not_odd() {
    let runs = [(30, 500), (30, 0)].into_iter().chain([(30, 500); 9]);
    let mut baseline = after(runs);
    assert_eq!(odd(Baseline::compare(&mut baseline, run(30, 0, 0))), None);
    for _ in 0..20 {
        assert_eq!(odd(Baseline::compare(&mut baseline, run(30, 500, 0))), None);
    }
    assert!(odd(Baseline::compare(&mut baseline, run(30, 0, 0))).is_some());
}

#[test]
fn five_odd_runs_that_agree_are_a_new_level() {
    let mut baseline = after([(30, 500); 20]);
    for solved in [40, 45, 38, 30] {
        assert!(odd(Baseline::compare(&mut baseline, run(30, solved, 0))).is_some());
    }
    let new = Compared::NewLevel(
        "usual from now on, as in 5 runs in a row: solved 41, usually 500 (median of 20 good runs)"
            .to_owned(),
    );
    assert_eq!(Baseline::compare(&mut baseline, run(30, 41, 0)), new);
    assert_eq!(baseline.as_ref().unwrap().text(), "30/40 30/45 30/38 30/30 30/41;");
    for solved in [40, 45, 38, 30, 35] {
        assert_eq!(Baseline::compare(&mut baseline, run(30, solved, 0)), Compared::Usual);
    }
    assert!(odd(Baseline::compare(&mut baseline, run(30, 0, 0))).is_some());
}

#[test]
fn odd_runs_that_differ_from_each_other_and_empty_ones_are_no_level() {
    let mut baseline = after([(30, 500); 20]);
    for solved in [1, 9, 2, 30, 3, 45, 1, 20, 2] {
        assert!(odd(Baseline::compare(&mut baseline, run(30, solved, 0))).is_some());
    }
    for _ in 0..50 {
        assert!(odd(Baseline::compare(&mut baseline, run(30, 0, 0))).is_some());
    }
    assert_eq!(Baseline::compare(&mut baseline, run(30, 480, 0)), Compared::Usual);
    // A person says that it is so now.
    for _ in 0..7 {
        assert!(odd(Baseline::compare(&mut baseline, run(30, 0, 0))).is_some());
    }
    let mut accepted = baseline.unwrap().accepted();
    assert_eq!(accepted.as_ref().unwrap().text(), "30/0 30/0 30/0 30/0 30/0;");
    for _ in 0..20 {
        assert_eq!(Baseline::compare(&mut accepted, run(30, 0, 0)), Compared::Usual);
    }
    assert!(accepted.unwrap().counts_nothing());
}

#[test]
fn a_text_of_any_kind_is_a_baseline_or_none_and_never_grows() {
    for text in ["", "garbage", "1/2 3", "1/2;3/4\n", &"1/2 ".repeat(1000)] {
        let mut baseline = Baseline::read(text);
        assert_eq!(Baseline::compare(&mut baseline, run(1, 1, 0)), Compared::Usual, "{text}");
    }
    let mut baseline = after([(u64::MAX, u64::MAX); 40]);
    for _ in 0..9 {
        Baseline::compare(&mut baseline, run(0, 0, 0));
    }
    let text = baseline.as_ref().unwrap().text().to_owned();
    assert_eq!(Baseline::read(&text), baseline);
    assert!(Baseline::read("4294967295/4294967295 99999999999/1 2/3;//").unwrap().accepted().is_some());
    assert!(!Baseline::read("1/0 ;").unwrap().counts_nothing());
}
