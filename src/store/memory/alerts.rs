//! Alerts in memory: opened, repeated and closed.

use crate::model::{
    Alert, AlertEnd, AlertEvent, AlertId, AlertKind, AlertRow, AlertSubject, AlertTurn, AppId, AppRow,
    FleetAlert, FleetAlertChange, FleetAlertEnd, FleetTrouble, Labels, Timestamp,
};

use super::tables::Tables;

impl Tables {
    /// Gives the alert back if its row is new.
    pub(super) fn open_alert(&mut self, alert: &Alert) -> Option<AlertEvent> {
        let key = (alert.app, alert.kind.word(), alert.episode());
        if self.alert_keys.contains(&key) {
            return None;
        }
        self.alert_keys.push(key);
        let id = AlertId(i64::try_from(self.alerts.len()).unwrap_or(0) + 1);
        self.alerts.push(AlertRow {
            id,
            subject: alert.app.into(),
            manager: None,
            kind: alert.kind.into(),
            cause: alert.cause.clone(),
            severity: alert.kind.severity().into(),
            opened: alert.at,
            last_seen: alert.at,
            count: alert.count,
            message: alert.message.clone(),
            detail: alert.detail.clone(),
            acknowledged: None,
            muted_until: None,
            closed: None,
            delivered: None,
            run: alert.run,
            owner: None,
        });
        let (app, kind, message) = (self.name_of(alert.app), alert.kind, alert.message.clone());
        Some(AlertEvent { id, app, kind, message, turn: AlertTurn::Opened })
    }

    pub(super) fn repeat_alert(&mut self, alert: &Alert) {
        let is_meant = |row: &&mut AlertRow| {
            row.subject == alert.app.into() && row.kind == alert.kind.into() && row.closed.is_none()
        };
        for row in self.alerts.iter_mut().filter(is_meant) {
            (row.count, row.last_seen) = (alert.count, alert.at);
            (row.cause, row.message) = (alert.cause.clone(), alert.message.clone());
            row.detail.clone_from(&alert.detail);
        }
    }

    /// Gives the alerts back that were open.
    pub(super) fn close_alerts(
        &mut self,
        app: AppId,
        kinds: &[AlertKind],
        (at, end): (Timestamp, AlertEnd),
    ) -> Vec<AlertEvent> {
        let name = self.name_of(app);
        let mut events = Vec::new();
        let open =
            self.alerts.iter_mut().filter(|alert| alert.closed.is_none() && alert.subject == app.into());
        for alert in open {
            let Some(kind) = alert.kind.known().filter(|kind| kinds.contains(kind)) else { continue };
            alert.closed = Some(at);
            let turn = AlertTurn::Closed { after: at - alert.opened, end };
            events.push(AlertEvent {
                id: alert.id,
                app: name.clone(),
                kind,
                message: alert.message.clone(),
                turn,
            });
        }
        events
    }

    /// Writes a change, and the deliveries that follow from it; gives the alert back if it was opened or closed.
    pub(super) fn write_fleet_alert(&mut self, change: &FleetAlertChange) -> Option<AlertEvent> {
        match change {
            FleetAlertChange::Opened(alert) => {
                let event = self.open_fleet_alert(alert)?;
                self.note_opened(&event, alert.at);
                Some(event)
            }
            FleetAlertChange::Repeated(alert) => {
                self.repeat_fleet_alert(alert);
                None
            }
            FleetAlertChange::Closed(over) => {
                let event = self.close_fleet_alert(over)?;
                self.note_closed(&event, (over.at, over.end));
                Some(event)
            }
        }
    }

    /// Gives the alert back if its row is new.
    fn open_fleet_alert(&mut self, alert: &FleetAlert) -> Option<AlertEvent> {
        let FleetAlert { trouble, manager, message, count, at } = alert;
        let is_same = |row: &AlertRow| is_about(row, trouble, manager.as_deref());
        if self.alerts.iter().any(|row| is_same(row) && (row.closed.is_none() || row.opened == *at)) {
            return None;
        }
        let kind = trouble.kind.alert();
        let id = AlertId(i64::try_from(self.alerts.len()).unwrap_or(0) + 1);
        self.alerts.push(AlertRow {
            id,
            subject: AlertSubject::Fleet,
            manager: manager.clone(),
            kind: kind.into(),
            cause: trouble.cause.clone(),
            severity: kind.severity().into(),
            opened: *at,
            last_seen: *at,
            count: *count,
            message: message.clone(),
            detail: None,
            acknowledged: None,
            muted_until: None,
            closed: None,
            delivered: None,
            run: None,
            owner: None,
        });
        let (app, message) = (AlertSubject::FLEET.to_owned(), message.clone());
        Some(AlertEvent { id, app, kind, message, turn: AlertTurn::Opened })
    }

    fn repeat_fleet_alert(&mut self, alert: &FleetAlert) {
        let is_meant = |row: &&mut AlertRow| {
            row.closed.is_none() && is_about(row, &alert.trouble, alert.manager.as_deref())
        };
        for row in self.alerts.iter_mut().filter(is_meant) {
            (row.count, row.last_seen) = (alert.count, alert.at);
            row.message.clone_from(&alert.message);
        }
    }

    /// Gives the alert back if it was open.
    fn close_fleet_alert(&mut self, over: &FleetAlertEnd) -> Option<AlertEvent> {
        let FleetAlertEnd { trouble, manager, at, end } = over;
        let is_meant =
            |row: &&mut AlertRow| row.closed.is_none() && is_about(row, trouble, manager.as_deref());
        let row = self.alerts.iter_mut().find(is_meant)?;
        row.closed = Some(*at);
        let turn = AlertTurn::Closed { after: *at - row.opened, end: *end };
        let (app, kind) = (AlertSubject::FLEET.to_owned(), trouble.kind.alert());
        Some(AlertEvent { id: row.id, app, kind, message: row.message.clone(), turn })
    }

    /// What people have written on the app of an alert.
    pub(super) fn labels_of(&self, alert: AlertId) -> Labels<'_> {
        let row = self.alerts.iter().find(|row| row.id == alert);
        let app = row.and_then(|row| self.app_of(row));
        app.map_or(Labels::NONE, |row| row.app.labels())
    }

    /// An alert with what the row of its app says of it now.
    pub(super) fn owned(&self, alert: &AlertRow) -> AlertRow {
        let owner = self.app_of(alert).and_then(|row| row.app.owner.clone());
        AlertRow { owner, ..alert.clone() }
    }

    fn app_of(&self, alert: &AlertRow) -> Option<&AppRow> {
        self.apps.get(&alert.subject.id()?)
    }

    /// The path of an app, or its key where it has no row.
    pub(super) fn name_of(&self, app: AppId) -> String {
        self.apps.get(&app).map_or_else(|| app.to_string(), |row| row.app.path.to_string())
    }
}

fn is_about(row: &AlertRow, trouble: &FleetTrouble, manager: Option<&str>) -> bool {
    row.subject == AlertSubject::Fleet
        && row.kind == trouble.kind.alert().into()
        && row.cause == trouble.cause
        && row.manager.as_deref() == manager
}
