//! RabbitMQ servers for tests: one for the whole test program with a virtual host a test, and servers of a test's own,
//! which it may stop, block and configure. They are those of the packages of the system and end with the test program.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::message::BasicGetMessage;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::time::Instant;

/// How long a server may take to start: 6 s on a calm host, and tests load it.
const STARTS_WITHIN: Duration = Duration::from_secs(180);

/// How long something may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many virtual hosts are there from the start: to add one by `rabbitmqctl` takes seconds.
const HOSTS: usize = 64;

/// The user of tests, who may do everything; `guest` may too.
pub(crate) const USER: &str = "dcm";

/// Its password. The `:` and `@` must be encoded in a URL.
pub(crate) const PASSWORD: &str = "hunter:2@";

/// Its password in a URL.
pub(crate) const PASSWORD_ENCODED: &str = "hunter%3A2%40";

/// An empty virtual host of the shared server.
pub(crate) struct Host {
    server: &'static Server,
    name: String,
}

impl Host {
    pub(crate) fn new() -> Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let server = SERVER.get_or_init(|| Server::new(""));
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        assert!(number < HOSTS, "tests need more virtual hosts than {HOSTS}");
        Self { server, name: format!("t{number}") }
    }

    /// For `DC_RABBITMQ_URL`.
    pub(crate) fn url(&self) -> String {
        self.server.url(&self.name)
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(&self.url()).await
    }
}

/// A server of its own.
pub(crate) struct Server {
    folder: PathBuf,
    is_root: bool,
    port: u16,
    distribution: u16,
    epmd: u16,
    /// Leaders of process groups.
    running: Vec<Child>,
    /// Its input is closed when this program ends, however it ends: then the server is ended and removed.
    ends_with: Option<Child>,
}

impl Server {
    /// A running one. `settings` are lines of `rabbitmq.conf`, in which `FOLDER` stands for its folder.
    pub(crate) fn new(settings: &str) -> Self {
        Self::with_files(settings, &[])
    }

    /// The same with copies of these files in its folder.
    pub(crate) fn with_files(settings: &str, files: &[(&str, &Path)]) -> Self {
        let folder = tempfile::Builder::new().prefix("dcm-rabbit-").tempdir().unwrap().keep();
        let [port, distribution, epmd] = free_ports();
        // The server's files belong to the user of its package.
        let is_root = nix::unistd::Uid::effective().is_root();
        let mut server =
            Self { folder, is_root, port, distribution, epmd, running: Vec::new(), ends_with: None };
        for (name, file) in files {
            std::fs::copy(file, server.folder.join(name)).unwrap();
        }
        server.write("enabled_plugins", "[].");
        server.write("definitions.json", &definitions());
        let place = server.folder.display().to_string();
        let settings = settings.replace("FOLDER", &place);
        server.write(
            "rabbitmq.conf",
            &format!("load_definitions = {place}/definitions.json\nvm_memory_high_watermark.relative = 0.4\n{settings}\n"),
        );
        server.hand_over();
        server.watch();
        server.start();
        server
    }

    /// For `DC_RABBITMQ_URL`: a virtual host, which is `/` or one of `t0` to `t63`.
    pub(crate) fn url(&self, host: &str) -> String {
        let host = if host == "/" { "%2f" } else { host };
        format!("amqp://{USER}:{PASSWORD_ENCODED}@127.0.0.1:{}/{host}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) async fn connect(&self, host: &str) -> Client {
        Client::connect(&self.url(host)).await
    }

    /// Starts it, also after it was stopped; returns when it takes connections.
    pub(crate) fn start(&mut self) {
        let epmd = self.spawn("epmd", Path::new("epmd"), &["-port", &self.epmd.to_string()]);
        let server = self.spawn("server", Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server"), &[]);
        self.running.extend([epmd, server]);
        let deadline = std::time::Instant::now() + STARTS_WITHIN;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let said = || std::fs::read_to_string(self.folder.join("server.out")).unwrap_or_default();
            assert!(std::time::Instant::now() < deadline, "RabbitMQ does not start: {}", said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it as a crash would; what is durable is there after the next start.
    pub(crate) fn kill(&mut self) {
        for mut leader in self.running.drain(..) {
            let group = group_of(&leader);
            let _ = killpg(group, Signal::SIGKILL);
            leader.wait().unwrap();
            // What is left of the group may be zombies that nobody waits for.
            let deadline = std::time::Instant::now() + Duration::from_secs(10);
            while killpg(group, None).is_ok() && std::time::Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    /// Stands still, with its connections open, or goes on.
    pub(crate) fn signal(&self, signal: Signal) {
        self.running.iter().for_each(|leader| killpg(group_of(leader), signal).unwrap());
    }

    /// Memory is low, and who publishes is blocked, or is not any more.
    pub(crate) fn block(&self, is_blocked: bool) {
        self.ctl(&["set_vm_memory_high_watermark", if is_blocked { "0.0000001" } else { "0.4" }]);
    }

    /// What `rabbitmqctl` says; takes seconds.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> String {
        let done =
            self.command(Path::new("/usr/lib/rabbitmq/bin/rabbitmqctl")).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(
            done.status.success(),
            "rabbitmqctl {arguments:?}: {said}{}",
            String::from_utf8_lossy(&done.stderr)
        );
        said
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    /// What this program made in the folder is the server's.
    fn hand_over(&self) {
        if self.is_root {
            let done = Command::new("chown").args(["-R", "rabbitmq:"]).arg(&self.folder).status().unwrap();
            assert!(done.success());
        }
    }

    /// A program of the server, as its user and in its environment.
    fn command(&self, program: &Path) -> Command {
        let mut command = if self.is_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "rabbitmq", "--regid", "rabbitmq", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let below = |name: &str| self.folder.join(name);
        command
            .current_dir(&self.folder)
            .env("HOME", &self.folder)
            .env("LC_ALL", "C.UTF-8")
            .env("RABBITMQ_NODENAME", format!("dcm{}@localhost", self.port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("ERL_EPMD_PORT", self.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            // Schedulers that spin for work would take it from other tests.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none")
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", below("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", below("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", below("pid"))
            .env("RABBITMQ_MNESIA_BASE", below("mnesia"))
            .env("RABBITMQ_LOG_BASE", below("log"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", below("generated"))
            .env("RABBITMQ_SCHEMA_DIR", below("schema"))
            .env("RABBITMQ_FEATURE_FLAGS_FILE", below("feature_flags"))
            .env("RABBITMQ_PLUGINS_EXPAND_DIR", below("plugins"));
        command
    }

    /// Starts a program in a process group of its own, whose number is in `NAME.group`.
    fn spawn(&self, name: &str, program: &Path, arguments: &[&str]) -> Child {
        let output = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(name).with_extension("out"))
            .unwrap();
        let child = self
            .command(program)
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        self.write(&format!("{name}.group"), &child.id().to_string());
        child
    }

    /// Sees to it that nothing of the server is left when this program is gone: no shell trick would see a kill.
    fn watch(&mut self) {
        let end = Command::new("sh")
            .args([
                "-c",
                "cat >/dev/null; for f in \"$1\"/*.group; do kill -9 -$(cat \"$f\"); done; rm -rf \"$1\"",
            ])
            .arg("sh")
            .arg(&self.folder)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.ends_with = Some(end);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if let Some(mut end) = self.ends_with.take() {
            drop(end.stdin.take());
            let _ = end.wait();
        }
    }
}

/// A connection of a test, which plays any other program.
pub(crate) struct Client {
    /// Closed with this.
    connection: Connection,
    pub(crate) channel: Channel,
}

impl Client {
    pub(crate) async fn connect(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { connection, channel }
    }

    /// Publishes a message as it stands.
    pub(crate) async fn publish(&self, exchange: &str, key: &str, body: &[u8], properties: BasicProperties) {
        let confirm = self
            .channel
            .basic_publish(exchange.into(), key.into(), BasicPublishOptions::default(), body, properties)
            .await;
        confirm.unwrap().await.unwrap();
    }

    /// A queue of its own for replies, which ends with the connection.
    pub(crate) async fn reply_queue(&self) -> String {
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let queue = self.channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
        queue.name().to_string()
    }

    /// The next message of a queue, if there is one.
    pub(crate) async fn get(&self, queue: &str) -> Option<BasicGetMessage> {
        let message = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap()?;
        message.acker.ack(BasicAckOptions::default()).await.unwrap();
        Some(message)
    }

    /// Waits for the next message of a queue.
    pub(crate) async fn until_message(&self, queue: &str) -> BasicGetMessage {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(message) = self.get(queue).await {
                return message;
            }
            assert!(Instant::now() < deadline, "waited in vain for a message in {queue}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many messages wait in a queue, and how many consumers it has; `None` where there is no such queue.
    pub(crate) async fn depth(&self, queue: &str) -> Option<(u32, u32)> {
        let channel = self.connection.create_channel().await.unwrap();
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let found = channel.queue_declare(queue.into(), options, FieldTable::default()).await.ok()?;
        Some((found.message_count(), found.consumer_count()))
    }

    /// Waits until a queue has a consumer.
    pub(crate) async fn until_consumed(&self, queue: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !matches!(self.depth(queue).await, Some((_, 1..))) {
            assert!(Instant::now() < deadline, "waited in vain for a consumer of {queue}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn group_of(leader: &Child) -> Pid {
    Pid::from_raw(i32::try_from(leader.id()).unwrap())
}

/// Users and virtual hosts that are there from the start.
fn definitions() -> String {
    let mut hosts = String::from("{\"name\":\"/\"}");
    let mut permissions = String::new();
    for name in std::iter::once("/".to_owned()).chain((0..HOSTS).map(|number| format!("t{number}"))) {
        if name != "/" {
            let _ = write!(hosts, ",{{\"name\":\"{name}\"}}");
        }
        for user in [USER, "guest"] {
            let comma = if permissions.is_empty() { "" } else { "," };
            let _ = write!(
                permissions,
                "{comma}{{\"user\":\"{user}\",\"vhost\":\"{name}\",\"configure\":\".*\",\"write\":\".*\",\"read\":\".*\"}}"
            );
        }
    }
    format!(
        "{{\"users\":[{{\"name\":\"{USER}\",\"password\":\"{PASSWORD}\",\"tags\":\"\"}},\
         {{\"name\":\"guest\",\"password\":\"guest\",\"tags\":\"administrator\"}}],\
         \"vhosts\":[{hosts}],\"permissions\":[{permissions}]}}"
    )
}

/// Ports on which nothing listens.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
