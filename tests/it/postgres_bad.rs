//! Servers that refuse, cannot, or are not what they seem: passwords, certificates, standbys, full disks.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use dcm::model::{App, AppPath, Program};
use dcm::store::{Existing, OpenMode, OperatorStore as _, PostgresStore, Registration, Rights, StoreError};

use crate::fleet::Fleet;
use crate::postgres::{self, Cluster, Schema, block_on, command};
use crate::proxy::Proxy;

/// In every URL of these tests, and in nothing that is said.
const CANARY: &str = "canary-7f3a";

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A CA, a certificate of it for `localhost`, and a CA that nobody has asked for anything.
fn certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for name in ["ca", "other"] {
        openssl(
            folder,
            &format!("req -x509 {key} -keyout {name}.key -out {name}.pem -subj /CN={name} -days 30"),
        );
    }
    openssl(folder, &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 30 -extfile names",
    );
    std::fs::set_permissions(folder.join("server.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// What is said about a URL, by the store and by the program.
fn refusal(url: &str, word: &str) -> StoreError {
    let error = PostgresStore::connect(url, OpenMode::Existing).map(drop).unwrap_err();
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", url);
    let called = fleet.dcm(&["status"]);
    for text in [format!("{error} {error:?}"), format!("{}{}", called.out, called.err)] {
        assert!(text.contains(word), "{word}: {text}");
        assert!(!text.contains(CANARY), "{text}");
        assert!(text.trim_end().lines().count() <= 1, "{text}");
    }
    assert_eq!(called.code, if matches!(error, StoreError::Denied(_)) { 2 } else { 75 }, "{called:?}");
    error
}

#[test]
fn passwords_and_certificates_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name);
    let cluster = Cluster::on_a_port(
        "ssl = on\npassword_encryption = 'scram-sha-256'",
        "hostssl all all 127.0.0.1/32 scram-sha-256",
        &[("server.crt", &file("server.pem")), ("server.key", &file("server.key"))],
    );
    cluster.psql("postgres", &format!("CREATE ROLE ana LOGIN SUPERUSER PASSWORD '{CANARY}'"));
    let url = |host: &str, password: &str, ca: &str| {
        let (port, ca) = (cluster.port(), file(ca));
        format!(
            "postgres://ana:{password}@{host}:{port}/postgres?sslmode=verify-full&sslrootcert={}",
            ca.display()
        )
    };
    let good = url("localhost", CANARY, "ca.pem");
    drop(PostgresStore::connect(&good, OpenMode::Create).unwrap());
    let store = PostgresStore::connect(&good, OpenMode::Existing).unwrap();
    assert!(!format!("{store:?}").contains(CANARY));
    drop(store);
    let denied = |url: &str, word| {
        let error = refusal(url, word);
        assert!(matches!(error, StoreError::Denied(_)), "{error}");
    };
    denied(&url("localhost", &format!("{CANARY}-wrong"), "ca.pem"), "correct user and password");
    denied(&url("localhost", CANARY, "other.pem"), "no secure connection");
    denied(&url("127.0.0.1", CANARY, "ca.pem"), "no secure connection");
    denied(&url("localhost", CANARY, "no-such.pem"), "no-such.pem");
    // In the clear is not let in, and a certificate is never waived for a server that has none.
    denied(
        &format!("postgres://ana:{CANARY}@127.0.0.1:{}/postgres?sslmode=disable", cluster.port()),
        "pg_hba.conf",
    );
    let schema = Schema::new();
    let proxy = Proxy::to_database(schema.url());
    let plain = proxy.url(schema.url()).replace("sslmode=disable", "sslmode=verify-full");
    denied(&postgres::with(&plain, &format!("password={CANARY}")), "no secure connection");
}

#[test]
fn a_standby_is_read_and_says_what_it_is() {
    let primary = Cluster::new();
    drop(PostgresStore::connect(&primary.url(), OpenMode::Create).unwrap());
    let standby = Cluster::standby_of(&primary);
    let store = PostgresStore::connect(&standby.url(), OpenMode::Existing).unwrap();
    block_on(async {
        let none = Rights { submit: false, register: false, manage: false, see_env: true };
        assert_eq!(store.rights().await.unwrap(), none);
        store.changes_since(dcm::model::Revision::default()).await.unwrap();
        let error = store.submit(vec![command()]).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("standby"), "{error}");
    });
    let error = PostgresStore::connect(&standby.url(), OpenMode::Create).map(drop).unwrap_err();
    assert!(error.to_string().contains("connect to the primary"), "{error}");
    // It becomes the primary, and the same store goes on.
    standby.psql("postgres", "SELECT pg_promote()");
    block_on(async {
        postgres::until("the promoted server to take a command", async || {
            store.submit(vec![command()]).await.ok()
        })
        .await;
    });
}

fn many(count: usize) -> Vec<Registration> {
    let app = |number: usize| {
        let path: AppPath = format!("a/b/app{number}").parse().unwrap();
        let program = Program { cwd: Some("x".repeat(1000)), ..Program::default() };
        App { program, disabled: true, ..App::new(path) }
    };
    (0..count)
        .map(|number| Registration { app: app(number), next_run: None, existing: Existing::Replace })
        .collect()
}

/// A disk of its own for the tables, which is taken away at the end.
struct SmallDisk<'a>(&'a Path);

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_of_the_server_is_told_and_nothing_is_half_done() {
    let cluster = Cluster::new();
    let folder = cluster.folder("small");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "none"]).arg(&folder).output();
    if !mounted.is_ok_and(|done| done.status.success()) {
        eprintln!("no disk can be mounted here: a full one was not tried");
        return;
    }
    let _disk = SmallDisk(&folder);
    cluster.folder("small/tables");
    cluster
        .psql("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", folder.join("tables").display()));
    let url = postgres::with(&cluster.url(), "options=-c%20default_tablespace%3Dsmall");
    let store = PostgresStore::connect(&url, OpenMode::Create).unwrap();
    std::fs::write(folder.join("filler"), vec![0; 16 << 20]).unwrap_err();
    block_on(async {
        let error = store.register(many(2000)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("disk of the server is full"), "{error}");
        assert_eq!(dcm::store::read_fleet(&store).await.unwrap().0, []);
        std::fs::remove_file(folder.join("filler")).unwrap();
        store.register(many(200)).await.unwrap();
        assert_eq!(dcm::store::read_fleet(&store).await.unwrap().0.len(), 200);
    });
    drop(store);
    cluster.stop();
}
