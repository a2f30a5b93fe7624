-- What is to leave the program: notifications now, later documents and replies. A row is written in the transaction of
-- the event that causes it, and stays until it was delivered or given up.
CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    -- notification or ping.
    kind        TEXT NOT NULL,
    -- The name of a channel of the configuration.
    channel     TEXT NOT NULL,
    -- Of a notification: opened, repeated or recovered, and the alert that it is about.
    event       TEXT,
    alert_id    INTEGER,
    -- How many messages about the same left before this one.
    stage       INTEGER NOT NULL DEFAULT 0,
    -- JSON.
    body        TEXT NOT NULL,
    created     TEXT NOT NULL,
    -- When it is to leave; while a try is under way, when another one may begin.
    due         TEXT NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    last_error  TEXT,
    delivered   TEXT,
    given_up    TEXT,
    -- Who sends it; where that manager is lost, another one.
    manager     TEXT
);
CREATE INDEX deliveries_waiting ON deliveries (channel, due) WHERE delivered IS NULL AND given_up IS NULL;
CREATE INDEX deliveries_alert ON deliveries (alert_id);
CREATE INDEX deliveries_delivered ON deliveries (delivered) WHERE delivered IS NOT NULL;
