//! Filters, by what they find in a small fleet.

use chrono::TimeDelta;

use super::Filter;
use crate::console::fleet::Fleet;
use crate::console::testing::{delta, ended, manager, noon, row, running, small_fleet};

fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    fleet.managers = vec![manager("zg-01", noon())];
    let mut rows = small_fleet();
    let mut other = running("italy/court/rulings", 73, 730, 1000);
    other.progress.failed = 240;
    other.state.manager = Some("mi-02".to_owned());
    other.progress.message = Some("page 7 of 9".to_owned());
    rows.push(other);
    let mut late = row("italy/court/gazette");
    late.next_run = Some(noon() - TimeDelta::minutes(5));
    late.app.policy.protected = true;
    late.app.owner = Some("Ana Horvat".to_owned());
    late.app.tags = ["nightly", "eu"].map(|tag| tag.parse().unwrap()).into();
    late.last_end = Some(Box::new(ended("crashed", 134)));
    rows.push(late);
    fleet.apply(delta(rows), noon());
    fleet
}

fn found(fleet: &Fleet, text: &str) -> Vec<String> {
    let filter = Filter::parse(text);
    let mut path = String::new();
    let rows = fleet.rows().filter(|row| filter.shows(row, fleet, noon(), &mut path));
    rows.map(|row| row.path.name.to_string()).collect()
}

#[test]
fn words_conditions_and_comparisons_are_anded() {
    let fleet = fleet();
    for (text, expected) in [
        (
            "",
            vec!["liens", "companies", "documents", "insolvency", "owners", "parcels", "gazette", "rulings"],
        ),
        ("FINA", vec!["companies", "documents", "insolvency", "owners"]),
        ("fina !comp", vec!["documents", "insolvency", "owners"]),
        ("~crfico", vec!["companies"]),
        ("/fina/(own|doc)/", vec!["documents", "owners"]),
        ("!/[aeiou]s$/ g:croatia", vec!["documents", "insolvency", "owners", "parcels"]),
        ("is:fatal", vec!["companies"]),
        ("is:fat", vec!["companies"]),
        ("is:fatal,stopped,waiting", vec!["companies", "documents", "owners"]),
        ("st:run p:court", vec!["rulings"]),
        ("is:late", vec!["liens", "gazette"]),
        ("is:unknown", vec!["rulings"]),
        ("is:problem !is:late", vec!["companies", "rulings"]),
        ("is:protected", vec!["gazette"]),
        ("is:pending", vec!["documents"]),
        ("mgr:mi", vec!["rulings"]),
        ("host:zagreb", vec![]),
        ("msg:9", vec!["rulings"]),
        ("msg:python3.13", vec!["companies"]),
        ("fail>100", vec!["rulings"]),
        ("fail>=11 fail<=11", vec!["insolvency", "parcels"]),
        ("prog<50 st:run", vec!["parcels"]),
        ("size>0.5k size<2k", vec!["rulings"]),
        ("exit!=0", vec!["companies", "owners", "gazette"]),
        ("exit=127", vec!["companies"]),
        ("exit=0", vec!["liens"]),
        ("result:sigabrt", vec!["gazette"]),
        ("result:exit", vec!["companies"]),
        ("!result:ok is:late", vec!["gazette"]),
        ("next<0 !is:disabled", vec!["liens", "gazette"]),
        ("last<1h p:registry", vec!["parcels"]),
        ("eta<5m", vec!["insolvency", "parcels", "rulings"]),
        ("tag:night", vec!["gazette"]),
        ("tag:EU is:late", vec!["gazette"]),
        ("tag:ghtly", vec![]),
        ("owner:horvat", vec!["gazette"]),
        ("g:italy !owner:ana", vec!["rulings"]),
        ("nothing-like-that", vec![]),
    ] {
        assert_eq!(found(&fleet, text), expected, "{text}");
    }
}

#[test]
fn what_is_not_understood_is_told_and_filters_nothing() {
    let fleet = fleet();
    for (text, why) in [
        ("is:sleepy", "is:sleepy is not known; running idle"),
        ("colour:red", "colour: is not known"),
        ("luck>3", "luck cannot be compared"),
        ("fail>many", "many is no number"),
        ("/(/", "/(/ is no pattern"),
    ] {
        let filter = Filter::parse(text);
        assert!(filter.fault().unwrap().starts_with(why), "{:?}", filter.fault());
        assert_eq!(found(&fleet, text).len(), 8, "{text}");
    }
    // Half typed, it says nothing yet.
    for text in ["is:", "fail>", "!", "~", "/", "g:", " "] {
        let filter = Filter::parse(text);
        assert_eq!((filter.fault(), filter.is_active()), (None, false), "{text}");
    }
}

#[test]
fn a_pattern_cannot_make_it_slow() {
    let hostile = Filter::parse(&format!("/{}$/", "(a*)*".repeat(20)));
    let fleet = fleet();
    let mut path = String::new();
    assert!(fleet.rows().all(|row| hostile.shows(row, &fleet, noon(), &mut path)));
    assert!(Filter::parse("/(a{900}){900}/").fault().is_some());
}
