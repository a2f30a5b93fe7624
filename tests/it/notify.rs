//! Channels of notifications, against endpoints that answer well and badly.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use dcm::notify::{Beat, Pinger};
use serde_json::{Value, json};

use crate::endpoint::{Endpoint, Reply};
use crate::fleet::{Called, Fleet};
use crate::terminal::Terminal;

/// A directory with a configuration file, and no database: none is needed.
fn configured(text: &str) -> Fleet {
    let mut fleet = Fleet::bare();
    let path = fleet.dir.path().join("dcm.toml");
    std::fs::write(&path, format!("name = 'zg-01'\n{text}")).unwrap();
    fleet.set("DC_CONFIG", path.to_str().unwrap());
    fleet
}

fn channels(endpoint: &Endpoint) -> String {
    let api = endpoint.url("");
    let url = |path: &str| endpoint.url(path);
    format!(
        "[notify.tg]\nkind = 'telegram'\ntoken = '12:TOKENTOKENTOKEN'\nchat_id = '-100'\napi = '{api}'\n\
         [notify.wf]\nkind = 'teams'\nurl = '{}'\n\
         [notify.co]\nkind = 'teams'\nform = 'connector'\nurl = '{}'\n\
         [notify.sl]\nkind = 'slack'\nurl = 'https://hooks.slack.com/services/TOKENTOKENTOKEN'\napi = '{api}'\n\
         [notify.wh]\nkind = 'webhook'\nurl = '{}'\nsecret = 'SECRETSECRETSECRET'\n",
        url("/workflow/TOKENTOKENTOKEN"),
        url("/connector/TOKENTOKENTOKEN"),
        url("/hook?key=TOKENTOKENTOKEN"),
    )
}

const NAMES: [&str; 5] = ["tg", "wf", "co", "sl", "wh"];

#[test]
fn each_channel_gets_a_message_in_its_own_form() {
    let endpoint = Endpoint::obliging();
    let fleet = configured(&channels(&endpoint));
    for name in NAMES {
        let called = fleet.dcm(&["notify", "test", name]).ok();
        assert!(called.out.starts_with(&format!("{name}: 127.0.0.1:")), "{called:?}");
        assert!(called.out.contains("took the message"), "{called:?}");
    }
    let [telegram, workflow, connector, slack, webhook] = endpoint.until_requests(5).try_into().unwrap();
    assert_eq!(telegram.path, "/bot12:TOKENTOKENTOKEN/sendMessage");
    let message = telegram.json();
    assert_eq!((&message["chat_id"], &message["parse_mode"]), (&json!(-100), &json!("HTML")));
    let title = "[zg-01] this is a test of notifications";
    assert!(message["text"].as_str().unwrap().starts_with(&format!("<b>{title}</b>\n")), "{message}");
    let card = &workflow.json()["attachments"][0]["content"];
    assert_eq!(card["body"][0]["inlines"][0]["text"], title);
    assert_eq!(connector.json()["summary"], title);
    assert_eq!(slack.path, "/services/TOKENTOKENTOKEN");
    assert!(slack.json()["text"].as_str().unwrap().starts_with(title), "{slack:?}");
    let notice = webhook.json();
    assert_eq!((&notice["event"], &notice["alert"]), (&json!("test"), &Value::Null));
    assert_eq!((&notice["apps"], &notice["fleet"]), (&json!([]), &json!("zg-01")));
    assert_eq!(
        webhook.headers["x-dcm-signature"],
        format!("sha256={}", hmac("SECRETSECRETSECRET", &webhook.body))
    );
    assert!(webhook.headers["x-dcm-delivery"].starts_with("test-"), "{webhook:?}");
    assert!(endpoint.requests().iter().all(|request| request.headers["user-agent"].starts_with("dcm/")));
}

/// By another program.
fn hmac(key: &str, body: &str) -> String {
    let script =
        "import hmac,sys; print(hmac.new(sys.argv[1].encode(), sys.argv[2].encode(), 'sha256').hexdigest())";
    let done = Command::new("python3").args(["-c", script, key, body]).output().unwrap();
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// What `dcm notify test` says of a failure; no secret is in it.
fn failure(fleet: &Fleet, name: &str) -> (Called, Value) {
    let shown = fleet.dcm(&["notify", "test", name, "--json"]).refused(1, &[&format!("dcm: {name}: ")]);
    for secret in ["TOKENTOKENTOKEN", "SECRETSECRET", "s3cret"] {
        assert!(!shown.out.contains(secret) && !shown.err.contains(secret), "{shown:?}");
    }
    let json = shown.json();
    assert_eq!(json["delivered"], false);
    (shown, json)
}

#[test]
fn an_answer_that_is_no_yes_is_a_failure() {
    let with = |status: u16, body: &str| Reply::With(status, Vec::new(), body.to_owned());
    let page = "<html>\u{1b}[31m no hook /services/TOKENTOKENTOKEN </html>";
    for (name, reply, expected, retry_after) in [
        ("wh", Reply::status(429, &["Retry-After: 17"]), "answered HTTP 429: without a word", json!(17)),
        (
            "sl",
            Reply::status(
                429,
                &["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT"],
            ),
            "answered HTTP 429",
            json!(60),
        ),
        ("wf", with(500, "oops"), "answered HTTP 500: \"oops\"", Value::Null),
        ("wh", with(404, page), "no hook /services/***", Value::Null),
        ("wh", Reply::Reset, "127.0.0.1:", Value::Null),
        (
            "wh",
            Reply::status(302, &["Location: https://evil.example.com/TOKENTOKENTOKEN"]),
            "answered HTTP 302: a redirect to evil.example.com, which is not followed",
            Value::Null,
        ),
        ("sl", with(200, "no_team"), "answered HTTP 200: \"no_team\"", Value::Null),
        ("co", with(200, "0"), "answered HTTP 200: \"0\"", Value::Null),
        ("wf", with(200, "Webhook message delivery failed with error"), "delivery failed", Value::Null),
        (
            "tg",
            with(200, r#"{"ok":false,"description":"chat not found"}"#),
            "\"chat not found\"",
            Value::Null,
        ),
        ("tg", with(200, "<html>"), "answered HTTP 200", Value::Null),
        (
            "tg",
            with(401, r#"{"ok":false,"error_code":401,"description":"Unauthorized: 12:TOKENTOKENTOKEN"}"#),
            "answered HTTP 401: \"Unauthorized: ***\"",
            Value::Null,
        ),
        (
            "tg",
            with(429, r#"{"ok":false,"description":"Too Many Requests","parameters":{"retry_after":9}}"#),
            "Too Many Requests",
            json!(9),
        ),
        (
            "tg",
            with(400, r#"{"ok":false,"description":"upgraded","parameters":{"migrate_to_chat_id":-1001}}"#),
            "set chat_id = -1001",
            Value::Null,
        ),
        ("wh", with(503, &"x".repeat(10_000_000)), "answered HTTP 503: \"xxxx", Value::Null),
    ] {
        let answer = reply.clone();
        let endpoint = Endpoint::answering(move |_| answer.clone());
        let fleet = configured(&channels(&endpoint));
        let (shown, json) = failure(&fleet, name);
        let error = json["error"].as_str().unwrap();
        assert!(error.contains(expected) && error.len() < 400, "{reply:?}: {error}");
        assert!(!error.chars().any(char::is_control), "{error:?}");
        assert_eq!(json["retry_after"], retry_after, "{reply:?}");
        assert!(shown.err.lines().count() == 1, "{shown:?}");
    }
}

#[test]
fn an_endpoint_that_is_not_there_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let fleet = configured(&format!(
        "[notify.gone]\nkind = 'webhook'\nurl = 'http://127.0.0.1:{port}/TOKENTOKENTOKEN'\n\
         [notify.unknown]\nkind = 'slack'\nurl = 'https://hooks.invalid/TOKENTOKENTOKEN'\n\
         [notify.mail]\nkind = 'email'\nserver = '127.0.0.1'\nport = {port}\ntls = 'none'\nfrom = 'a@b.c'\nto = ['d@e.f']\n"
    ));
    assert!(failure(&fleet, "gone").1["error"].as_str().unwrap().starts_with(&format!("127.0.0.1:{port}: ")));
    assert!(failure(&fleet, "unknown").1["error"].as_str().unwrap().starts_with("hooks.invalid: "));
    assert!(failure(&fleet, "mail").1["error"].as_str().unwrap().starts_with(&format!("127.0.0.1:{port}: ")));
}

#[test]
fn an_endpoint_that_never_answers_is_given_up_in_time() {
    let endpoint = Endpoint::answering(|_| Reply::Never);
    // Takes connections, and says nothing in them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let fleet = configured(&format!(
        "{}[notify.mail]\nkind = 'email'\nserver = '127.0.0.1'\nport = {port}\ntls = 'none'\nfrom = 'a@b.c'\nto = ['d@e.f']\n",
        channels(&endpoint)
    ));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (_, shown) = failure(&fleet, "wh");
            assert!(shown["error"].as_str().unwrap().ends_with("no answer within 15 s"), "{shown}");
        });
        scope.spawn(|| failure(&fleet, "mail"));
    });
}

#[test]
fn what_is_wrong_with_a_channel_stops_what_would_send_and_nothing_else() {
    let fleet = configured("[notify.sl]\nkind = 'slack'\nurl = '${NO_SUCH_URL}'\n");
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.dcm(&["status"]).ok();
    let missing = ["dcm.toml:4: notify.sl.url: the environment variable NO_SUCH_URL is not set"];
    fleet.dcm(&["notify", "test", "sl"]).refused(2, &missing);
    fleet.dcm(&["notify", "list"]).refused(2, &missing);
    fleet.dcm(&["--headless"]).refused(2, &missing);
    let wrong = configured("[notify.sl]\nkind = 'slack'\n");
    wrong.dcm(&["status"]).refused(2, &["dcm.toml:2: notify.sl: slack needs url"]);
}

#[test]
fn a_console_without_the_secrets_is_a_client_of_the_manager_that_has_them() {
    let mut fleet = configured("[notify.sl]\nkind = 'slack'\nurl = '${HOOK_ADDRESS}'\n");
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.add("a/b/c", &[], &["true"]);
    let config = fleet.dir.path().join("dcm.toml").display().to_string();
    let open = |fleet: &Fleet| Terminal::with(fleet, &[], (100, 30), &[("DC_CONFIG", &config)]);
    open(&fleet).until_text("HOOK_ADDRESS is not set");
    fleet.set("HOOK_ADDRESS", "https://hooks.slack.com/services/x");
    fleet.start_manager();
    fleet.environment.retain(|(name, _)| name != "HOOK_ADDRESS");
    open(&fleet).until_text("[client] 1 apps");
}

#[test]
fn channels_are_listed_without_their_secrets() {
    let endpoint = Endpoint::obliging();
    let fleet = configured(&format!(
        "{}groups = ['croatia', '*/fina']\nquiet = '22:00-06:00'\n",
        channels(&endpoint)
    ));
    let text = fleet.dcm(&["notify", "list"]).ok();
    let json = fleet.dcm(&["notify", "list", "--json"]).ok();
    for shown in [&text, &json] {
        assert!(!shown.out.contains("TOKEN") && !shown.out.contains("SECRET"), "{shown:?}");
    }
    assert_eq!(text.out.lines().count(), 6, "{text:?}");
    let listed = json.json();
    assert_eq!(listed[4]["name"], "wh");
    assert_eq!(listed[4]["groups"], json!(["croatia", "*/fina"]));
    assert_eq!((&listed[4]["quiet"], &listed[4]["severity"]), (&json!("22:00-06:00"), &json!("warning")));
    fleet
        .dcm(&["notify", "test", "pigeon"])
        .refused(4, &["no such channel: pigeon; there is co, sl, tg, wf, wh"]);
    configured("").dcm(&["notify", "test", "x"]).refused(4, &["no such channel: x; none is set up"]);
}

#[test]
fn an_app_does_not_get_the_variables_of_secrets() {
    let mut fleet = configured("[notify.sl]\nkind = 'slack'\nurl = '${HOOK_ADDRESS}'\n");
    fleet.set("HOOK_ADDRESS", "https://hooks.slack.com/services/x");
    fleet.set("OTHER_VARIABLE", "stays");
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.add("a/b/c", &[], &["sh", "-c", "echo \"<$HOOK_ADDRESS> <$OTHER_VARIABLE>\""]);
    assert_eq!(fleet.dcm(&["run-app", "a/b/c"]).ok().out, "<> <stays>\n");
    fleet.start_manager();
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until_runs("a/b/c", "to have run twice", |runs| {
        runs.iter().filter(|run| run.end.is_some()).count() == 2
    });
    assert!(fleet.log("a/b/c").contains("<> <stays>"), "{}", fleet.log("a/b/c"));
}

#[test]
fn pings_have_the_form_of_healthchecks() {
    let endpoint = Endpoint::answering(|request| {
        if request.path.starts_with("/gone") { Reply::status(404, &[]) } else { Reply::ok("OK") }
    });
    let pinger = Pinger::default();
    let url = endpoint.url("/UUID?create=1").parse().unwrap();
    pinger.ping(&url, Beat::Good, "fine").unwrap();
    pinger.ping(&url, Beat::Failed, "exit 3").unwrap();
    let seen: Vec<_> = endpoint.requests().into_iter().map(|request| (request.path, request.body)).collect();
    let expected = [("/UUID?create=1", "fine"), ("/UUID/fail?create=1", "exit 3")];
    assert_eq!(seen, expected.map(|(path, body)| (path.to_owned(), body.to_owned())));
    let gone = pinger.ping(&endpoint.url("/gone").parse().unwrap(), Beat::Good, "").unwrap_err();
    assert!(gone.why.ends_with("answered HTTP 404: without a word"), "{gone}");
}

/// A mail server with a certificate of an authority of its own.
struct MailServer {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
}

impl MailServer {
    fn start(mode: &str, folder: &Path) -> Self {
        // The interpreter of the system, which has the package aiosmtpd of the system.
        let mut child = Command::new("/usr/bin/python3")
            .args([&Fleet::script("smtp_server.py"), mode, folder.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        Self { child, lines, port: port.trim().parse().expect("python3-aiosmtpd is installed") }
    }

    fn message(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
}

/// ca.crt, and server.crt with server.key for localhost.
fn certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(folder, &format!("req -x509 {key} -keyout ca.key -out ca.crt -days 2 -subj /CN=authority"));
    openssl(folder, &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    std::fs::write(folder.join("ext"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.crt",
    );
}

#[test]
fn mail_goes_by_a_server_that_is_who_it_says() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    for mode in ["starttls", "tls", "none"] {
        let mut server = MailServer::start(mode, folder.path());
        let port = server.port;
        let ca = folder.path().join("ca.crt");
        let place =
            format!("kind = 'email'\nport = {port}\ntls = '{mode}'\nfrom = 'Data Č <dcm@example.com>'\n");
        let login = if mode == "none" { "" } else { "user = 'dcm'\npassword = 's3cret'\n" };
        let trusted = format!(
            "server = 'localhost'\nca_file = '{}'\nto = ['Ana <ana@example.com>', 'ops@example.com']\n",
            ca.display()
        );
        let fleet = configured(&format!(
            "[notify.good]\n{place}{login}{trusted}\
             [notify.stranger]\n{place}{login}server = 'localhost'\nto = ['ana@example.com']\n\
             [notify.othername]\n{place}{login}server = '127.0.0.1'\nca_file = '{}'\nto = ['ana@example.com']\n\
             [notify.badlogin]\n{place}user = 'dcm'\npassword = 's3cret-not'\n{trusted}\
             [notify.nobody]\n{place}{login}server = 'localhost'\nca_file = '{}'\nto = ['nobody@example.com']\n",
            ca.display(),
            ca.display(),
        ));
        fleet.dcm(&["notify", "test", "good"]).ok();
        let message = server.message();
        assert_eq!(message["from"], "dcm@example.com");
        assert_eq!(message["to"], json!(["ana@example.com", "ops@example.com"]));
        assert_eq!(message["tls"], mode != "none");
        let data = message["data"].as_str().unwrap();
        assert!(data.contains("Subject: [zg-01] this is a test of notifications\r\n"), "{data}");
        assert!(data.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{data}");
        assert!(failure(&fleet, "nobody").1["error"].as_str().unwrap().contains("550"));
        if mode != "none" {
            assert!(failure(&fleet, "stranger").1["error"].as_str().unwrap().contains("certificate"));
            assert!(failure(&fleet, "othername").1["error"].as_str().unwrap().contains("certificate"));
            assert!(failure(&fleet, "badlogin").1["error"].as_str().unwrap().contains("535"));
        }
    }
}

/// Answers each POST with `ok` over TLS. It prints its port.
const HTTPS_SERVER: &str = "
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers['Content-Length']))
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'ok')
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[1] + '/server.crt', sys.argv[1] + '/server.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
";

#[test]
fn https_goes_to_a_server_that_is_who_it_says() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let mut child = Command::new("python3")
        .args(["-c", HTTPS_SERVER, folder.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut port = String::new();
    lines.read_line(&mut port).unwrap();
    let port = port.trim();
    let ca = folder.path().join("ca.crt");
    let ca = ca.display();
    let fleet = configured(&format!(
        "[notify.good]\nkind = 'slack'\nurl = 'https://localhost:{port}/x'\nca_file = '{ca}'\n\
         [notify.stranger]\nkind = 'slack'\nurl = 'https://localhost:{port}/x'\n\
         [notify.othername]\nkind = 'slack'\nurl = 'https://127.0.0.1:{port}/x'\nca_file = '{ca}'\n"
    ));
    let called = ["good", "stranger", "othername"].map(|name| fleet.dcm(&["notify", "test", name]));
    let _ = child.kill();
    let _ = child.wait();
    let [good, stranger, othername] = called;
    good.ok();
    stranger.refused(1, &["localhost", "certificate"]);
    othername.refused(1, &["127.0.0.1", "certificate"]);
}

#[test]
fn what_is_for_this_host_goes_by_no_proxy_and_the_rest_does() {
    let (proxy, endpoint) = (Endpoint::answering(|_| Reply::status(403, &[])), Endpoint::obliging());
    let mut fleet = configured(&format!(
        "{}[notify.far]\nkind = 'slack'\nurl = 'https://hooks.invalid/TOKENTOKENTOKEN'\n",
        channels(&endpoint)
    ));
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"] {
        fleet.set(name, &proxy.url(""));
    }
    for name in ["NO_PROXY", "no_proxy"] {
        fleet.set(name, "");
    }
    fleet.dcm(&["notify", "test", "wh"]).ok();
    assert_eq!((endpoint.requests().len(), proxy.requests().len()), (1, 0));
    failure(&fleet, "far");
    assert_eq!(proxy.requests()[0].method, "CONNECT");
    assert_eq!(proxy.requests()[0].path, "hooks.invalid:443");
}
