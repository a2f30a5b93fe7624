use super::*;
use crate::model::{AppRow, Planned, RunStatus};

/// A worker that has been up for 13 minutes, and one that has ended too soon a few times.
fn workers() -> Vec<AppRow> {
    let mut up = running("docs/workers/pdf", 40, 1200, 3000);
    let mut down = row("docs/workers/text");
    for worker in [&mut up, &mut down] {
        worker.app.schedule.always = true;
        worker.next_run = None;
    }
    down.next_run = Some(noon() + TimeDelta::seconds(8));
    down.planned = Some(Planned::Pause(Duration::from_secs(16)));
    (down.state.status, down.state.failures) = (RunStatus::NotRunning, 6);
    down.state.last_run = Some(noon() - TimeDelta::seconds(9));
    vec![up, down]
}

fn line_of(screen: &str, name: &str) -> String {
    let line = screen.lines().find(|line| line.contains(name)).map(str::to_owned);
    line.unwrap_or_else(|| panic!("{name} is not on the screen:\n{screen}"))
}

#[test]
fn the_fleet_shows_how_long_a_worker_is_up_at_all_widths() {
    for width in [40, 60, 80, 120, 200] {
        let mut model = model((width, 24), workers());
        press(&mut model, KeyCode::Char('+'));
        let screen = screen(&model, unicode());
        let has_next = screen.contains("NEXT");
        let up = line_of(&screen, " pdf ");
        assert!(up.contains("up 13m"), "{width}: {up}");
        assert!(!up.contains("40") && !up.contains("3000"), "it is never done: {up}");
        let down = line_of(&screen, " text ");
        assert!(!down.contains(" up "), "{width}: {down}");
        for line in [up, down] {
            assert_eq!(line.contains(" always"), has_next, "{width}: {line}");
        }
    }
}

#[test]
fn the_details_say_it_in_words() {
    let mut model = model((160, 50), workers());
    go_to(&mut model, "text");
    rest(&mut model);
    let pictured = screen(&model, unicode());
    assert!(pictured.contains("always   next 12:00:08 in "), "{pictured}");
    press(&mut model, KeyCode::Esc);
    go_to(&mut model, "pdf");
    rest(&mut model);
    let pictured = screen(&model, unicode());
    assert!(pictured.contains("always   started again whenever it ends"), "{pictured}");
    assert!(pictured.contains("(run)   up 13m"), "{pictured}");
}

#[test]
fn a_worker_that_is_off_or_unknown_has_neither() {
    let mut rows = workers();
    (rows[1].app.disabled, rows[1].next_run) = (true, None);
    rows[0].state.manager = Some("gone".to_owned());
    let mut model = model((80, 24), rows);
    let gone = crate::console::testing::manager("gone", noon() - TimeDelta::minutes(9));
    update(&mut model, Msg::Managers(vec![manager(), gone]));
    wait(&mut model, 1);
    press(&mut model, KeyCode::Char('+'));
    let screen = screen(&model, unicode());
    assert!(line_of(&screen, " text ").contains(" off"), "{screen}");
    assert!(!line_of(&screen, " pdf ").contains("up 13m"), "{screen}");
}
