//! Alerts about the fleet: trouble that is not that of one app.

use super::{AlertCause, AlertEnd, AlertKind, AlertRow, AlertSubject, Timestamp, format_timestamp};

/// What an alert about the fleet is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FleetKind {
    /// [`AlertKind::ManagerLost`].
    ManagerLost,
    /// [`AlertKind::DatabaseLocked`].
    DatabaseLocked,
    /// [`AlertKind::DiskLow`].
    DiskLow,
    /// [`AlertKind::BrokerAway`].
    BrokerAway,
    /// [`AlertKind::MetricsNotServed`].
    MetricsNotServed,
    /// [`AlertKind::DeliveryGivenUp`].
    DeliveryGivenUp,
    /// [`AlertKind::RowsSetAside`].
    RowsSetAside,
}

impl FleetKind {
    /// The kind of its alert.
    #[must_use]
    pub const fn alert(self) -> AlertKind {
        match self {
            Self::ManagerLost => AlertKind::ManagerLost,
            Self::DatabaseLocked => AlertKind::DatabaseLocked,
            Self::DiskLow => AlertKind::DiskLow,
            Self::BrokerAway => AlertKind::BrokerAway,
            Self::MetricsNotServed => AlertKind::MetricsNotServed,
            Self::DeliveryGivenUp => AlertKind::DeliveryGivenUp,
            Self::RowsSetAside => AlertKind::RowsSetAside,
        }
    }

    /// Whether every manager of the fleet sees the trouble and its end: then it has one alert, whichever of them writes
    /// it. Of the others each manager has alerts of its own, which it alone closes.
    #[must_use]
    pub const fn is_seen_by_all(self) -> bool {
        match self {
            Self::ManagerLost | Self::DeliveryGivenUp => true,
            Self::DatabaseLocked
            | Self::DiskLow
            | Self::BrokerAway
            | Self::MetricsNotServed
            | Self::RowsSetAside => false,
        }
    }
}

impl AlertKind {
    /// What of the fleet an alert of this kind is about; `None` for those of apps.
    #[must_use]
    pub const fn of_fleet(self) -> Option<FleetKind> {
        match self {
            Self::ManagerLost => Some(FleetKind::ManagerLost),
            Self::DatabaseLocked => Some(FleetKind::DatabaseLocked),
            Self::DiskLow => Some(FleetKind::DiskLow),
            Self::BrokerAway => Some(FleetKind::BrokerAway),
            Self::MetricsNotServed => Some(FleetKind::MetricsNotServed),
            Self::DeliveryGivenUp => Some(FleetKind::DeliveryGivenUp),
            Self::RowsSetAside => Some(FleetKind::RowsSetAside),
            Self::FailedToStart
            | Self::UnexpectedBehavior
            | Self::HostExhausted
            | Self::SetAside
            | Self::BadReport
            | Self::RowLocked
            | Self::Stalled
            | Self::OverLimit
            | Self::Suspect
            | Self::Late => None,
        }
    }
}

/// Trouble of the fleet. At most one alert of the same kind and cause is open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FleetTrouble {
    /// What it is.
    pub kind: FleetKind,
    /// What brought it about. It names what is in trouble where there may be several: a manager, a directory, a channel.
    pub cause: AlertCause,
}

/// An alert about the fleet, as the trouble is seen now. What opens it is one episode, by its moment, however often it is
/// written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetAlert {
    /// What it is about.
    pub trouble: FleetTrouble,
    /// The manager that alone sees it; `None` where all of them do.
    pub manager: Option<String>,
    /// What happened, for people.
    pub message: String,
    /// How often by now, in this episode.
    pub count: u32,
    /// When.
    pub at: Timestamp,
}

impl FleetAlert {
    /// What tells this episode from others of its kind and cause.
    #[must_use]
    pub fn episode(&self) -> String {
        format_timestamp(self.at)
    }
}

/// An alert about the fleet that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenFleetAlert {
    /// What it is about.
    pub trouble: FleetTrouble,
    /// As in [`FleetAlert::manager`].
    pub manager: Option<String>,
    /// What happened last, for people.
    pub message: String,
    /// How often it was seen.
    pub count: u32,
    /// When the trouble was seen last.
    pub last_seen: Timestamp,
}

impl OpenFleetAlert {
    /// That of a row; `None` for an alert about an app, and for one of a newer version.
    #[must_use]
    pub fn of(row: AlertRow) -> Option<Self> {
        let AlertRow {
            subject: AlertSubject::Fleet, kind, cause, manager, message, count, last_seen, ..
        } = row
        else {
            return None;
        };
        let kind = kind.known().and_then(AlertKind::of_fleet)?;
        Some(Self { trouble: FleetTrouble { kind, cause }, manager, message, count, last_seen })
    }
}

/// What is to be written about an alert about the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetAlertChange {
    /// It is opened; nothing if one of its kind and cause is open.
    Opened(FleetAlert),
    /// More of the same, of which an alert is open; nothing if none is.
    Repeated(FleetAlert),
    /// It is over.
    Closed(FleetAlertEnd),
}

/// That trouble of the fleet is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetAlertEnd {
    /// What the alert was about.
    pub trouble: FleetTrouble,
    /// As in [`FleetAlert::manager`].
    pub manager: Option<String>,
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub end: AlertEnd,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_of_apps_or_of_the_fleet() {
        let of_fleet: Vec<_> = AlertKind::ALL.iter().filter_map(|kind| kind.of_fleet()).collect();
        assert_eq!(of_fleet.len(), 7);
        for kind in of_fleet {
            assert_eq!(kind.alert().of_fleet(), Some(kind));
            assert_eq!(kind.alert().flag(), None);
        }
    }
}
