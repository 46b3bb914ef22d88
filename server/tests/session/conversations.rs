//! Bytes that a client sends at once, and what it hears until the connection closes. The same is said to redis-server, if
//! one is installed, and must be heard.

use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};

use super::common::free_port;
use super::node::{Client, Node};

/// What is said, and what is heard.
const OPEN: &[(&str, &str)] = &[
    // Nothing after QUIT is looked at, not even what breaks the protocol.
    (
        "SET k 1\r\nQUIT\r\nSET k 2\r\n*1\r\n!\r\n",
        "+OK\r\n+OK\r\n",
    ),
    ("GET k\r\nDEL k\r\nQUIT\r\n", "$1\r\n1\r\n:1\r\n+OK\r\n"),
    // Requests before a protocol error are answered, and run.
    (
        "SET a 1\r\n*1\r\n$3\r\nGET\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n!\r\nSET a 2\r\n",
        "+OK\r\n-ERR wrong number of arguments for 'get' command\r\n$1\r\n1\r\n-ERR Protocol error: expected '$', got '!'\r\n",
    ),
    (
        "GET a\r\n*1\r\n$-5\r\n",
        "$1\r\n1\r\n-ERR Protocol error: invalid bulk length\r\n",
    ),
    (
        "*99999999999\r\n",
        "-ERR Protocol error: invalid multibulk length\r\n",
    ),
    (
        "ECHO 'a\r\n",
        "-ERR Protocol error: unbalanced quotes in request\r\n",
    ),
    // Without replies there is none for a broken protocol either.
    ("CLIENT REPLY OFF\r\nECHO a\r\n*1\r\n!\r\n", ""),
    (
        "CLIENT REPLY OFF\r\nSET a 5\r\nGET a\r\nNOSUCH\r\nGET\r\nPING\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nGET a\r\nQUIT\r\n",
        "+OK\r\n$1\r\n5\r\n+OK\r\n",
    ),
    (
        "CLIENT REPLY SKIP\r\nGET a\r\nGET a\r\nCLIENT REPLY SKIP\r\nSET a 6\r\nSET a 7\r\nGET a\r\nCLIENT REPLY SKIP\r\nNOSUCH\r\nPING\r\n\
         CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING\r\nPING\r\nCLIENT REPLY NO\r\nQUIT\r\n",
        "$1\r\n5\r\n+OK\r\n$1\r\n7\r\n+PONG\r\n+PONG\r\n-ERR syntax error\r\n+OK\r\n",
    ),
    (
        "CLIENT REPLY OFF\r\nRESET\r\nPING\r\nQUIT\r\n",
        "+RESET\r\n+PONG\r\n+OK\r\n",
    ),
    ("CLIENT REPLY SKIP\r\nQUIT\r\n", ""),
    // Databases and protocols change within a pipeline.
    (
        "SELECT 3\r\nSET d 3\r\nSELECT 0\r\nGET d\r\nSELECT 3\r\nGET d\r\nDEL d\r\nSELECT 16\r\nSELECT x\r\nQUIT\r\n",
        "+OK\r\n+OK\r\n+OK\r\n$-1\r\n+OK\r\n$1\r\n3\r\n:1\r\n-ERR DB index is out of range\r\n\
         -ERR value is not an integer or out of range\r\n+OK\r\n",
    ),
    (
        "HELLO 4\r\nHELLO x\r\nHELLO 2 NO\r\nHELLO 2 SETNAME\r\nHELLO 3 SETNAME 'a b'\r\nCLIENT GETNAME\r\nQUIT\r\n",
        "-NOPROTO unsupported protocol version\r\n-ERR Protocol version is not an integer or out of range\r\n\
         -ERR Syntax error in HELLO option 'NO'\r\n-ERR Syntax error in HELLO option 'SETNAME'\r\n\
         -ERR Client names cannot contain spaces, newlines or special characters.\r\n$-1\r\n+OK\r\n",
    ),
    (
        "AUTH x\r\nAUTH default x\r\nAUTH nobody x\r\nAUTH a b c\r\nQUIT\r\n",
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is \
         correct?\r\n+OK\r\n-WRONGPASS invalid username-password pair or user is disabled.\r\n-ERR syntax error\r\n+OK\r\n",
    ),
    // CLIENT's own words.
    (
        "CLIENT\r\nCLIENT NOSUCH a b\r\nCLIENT ID x\r\nCLIENT KILL\r\nCLIENT KILL 1.2.3.4:5\r\nCLIENT KILL ID 0\r\nCLIENT KILL ID x\r\n\
         CLIENT KILL TYPE none\r\nCLIENT KILL TYPE pubsub\r\nCLIENT KILL USER nobody\r\nCLIENT KILL SKIPME 1\r\n\
         CLIENT KILL ADDR a ID\r\nCLIENT KILL ADDR 1.2.3.4:5 LADDR a\r\nCLIENT KILL ID 999999\r\nQUIT\r\n",
        "-ERR wrong number of arguments for 'client' command\r\n-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.\r\n\
         -ERR wrong number of arguments for 'client|id' command\r\n-ERR wrong number of arguments for 'client|kill' command\r\n\
         -ERR No such client\r\n-ERR client-id should be greater than 0\r\n-ERR client-id should be greater than 0\r\n\
         -ERR Unknown client type 'none'\r\n:0\r\n-ERR No such user 'nobody'\r\n-ERR syntax error\r\n-ERR syntax error\r\n:0\r\n:0\r\n+OK\r\n",
    ),
    (
        "CLIENT LIST TYPE none\r\nCLIENT LIST TYPE replica\r\nCLIENT LIST ID\r\nCLIENT LIST ID x\r\nCLIENT LIST ID 999999\r\n\
         CLIENT LIST TYPE normal ID\r\nCLIENT LIST x\r\nQUIT\r\n",
        "-ERR Unknown client type 'none'\r\n$0\r\n\r\n-ERR syntax error\r\n-ERR Invalid client ID\r\n$0\r\n\r\n-ERR syntax error\r\n\
         -ERR syntax error\r\n+OK\r\n",
    ),
    (
        "CLIENT GETNAME\r\nCLIENT SETNAME a-b\r\nCLIENT GETNAME\r\nCLIENT SETNAME 'a b'\r\nCLIENT SETNAME \"\\n\"\r\nCLIENT GETNAME\r\n\
         CLIENT SETNAME ''\r\nCLIENT GETNAME\r\nCLIENT NO-EVICT on\r\nCLIENT NO-EVICT maybe\r\nQUIT\r\n",
        "$-1\r\n+OK\r\n$3\r\na-b\r\n-ERR Client names cannot contain spaces, newlines or special characters.\r\n\
         -ERR Client names cannot contain spaces, newlines or special characters.\r\n$3\r\na-b\r\n+OK\r\n$-1\r\n+OK\r\n\
         -ERR syntax error\r\n+OK\r\n",
    ),
    // Who kills itself hears that it did; what follows is not run.
    (
        "SET me 1\r\nCLIENT KILL TYPE normal SKIPME no\r\nSET me 2\r\n",
        "+OK\r\n:1\r\n",
    ),
    ("GET me\r\nQUIT\r\n", "$1\r\n1\r\n+OK\r\n"),
];

/// The same with `requirepass secret`.
const LOCKED: &[(&str, &str)] = &[
    (
        "PING\r\nGET a\r\nNOSUCH\r\nGET\r\nCLIENT ID\r\nRESET\r\nQUIT\r\nPING\r\n",
        "-NOAUTH Authentication required.\r\n-NOAUTH Authentication required.\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n\
         -ERR wrong number of arguments for 'get' command\r\n-NOAUTH Authentication required.\r\n+RESET\r\n+OK\r\n",
    ),
    (
        "AUTH wrong\r\nAUTH default wrong\r\nSET a 1\r\nAUTH secret\r\nSET a 1\r\nGET a\r\nRESET\r\nGET a\r\nAUTH default secret\r\nGET a\r\nQUIT\r\n",
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n-WRONGPASS invalid username-password pair or user is disabled.\r\n\
         -NOAUTH Authentication required.\r\n+OK\r\n+OK\r\n$1\r\n1\r\n+RESET\r\n-NOAUTH Authentication required.\r\n+OK\r\n$1\r\n1\r\n+OK\r\n",
    ),
    (
        "HELLO\r\nHELLO 3\r\nHELLO 3 AUTH default wrong SETNAME a\r\nPING\r\nQUIT\r\n",
        "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be \
         used to authenticate the client and select the RESP protocol version at the same time\r\n\
         -NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be \
         used to authenticate the client and select the RESP protocol version at the same time\r\n\
         -WRONGPASS invalid username-password pair or user is disabled.\r\n-NOAUTH Authentication required.\r\n+OK\r\n",
    ),
    // Before the password little is accepted; with it, in the same pipeline, everything.
    (
        "PING\r\n*20\r\n$4\r\n",
        "-NOAUTH Authentication required.\r\n-ERR Protocol error: unauthenticated multibulk length\r\n",
    ),
    (
        "*2\r\n$3\r\nGET\r\n$100000\r\n",
        "-ERR Protocol error: unauthenticated bulk length\r\n",
    ),
    (
        "AUTH secret\r\n*12\r\n$3\r\nDEL\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n\
         $1\r\na\r\n$1\r\na\r\nQUIT\r\n",
        "+OK\r\n:1\r\n+OK\r\n",
    ),
];

fn hold(port: u16, said: &str) -> String {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let half = stream.try_clone().expect("a second handle");
    let mut client = Client::new(stream);
    client.send(said.as_bytes());
    // Nothing more will come: a server that waits for more must not hold the test up.
    let _ = half.shutdown(Shutdown::Write);
    String::from_utf8(client.rest()).expect("UTF-8")
}

fn differences(port: u16, conversations: &[(&str, &str)]) -> Vec<String> {
    let heard = conversations
        .iter()
        .map(|(said, heard)| (said, heard, hold(port, said)));
    // Redis 7.0 leaves a word out.
    let same = |text: &str| text.replace("HELLO <proto> AUTH", "HELLO AUTH");
    heard
        .filter(|(_, expected, heard)| same(expected) != same(heard))
        .map(|(said, expected, heard)| {
            format!("said     {said:?}\nexpected {expected:?}\nheard    {heard:?}")
        })
        .collect()
}

#[test]
fn conversations_with_anyone() {
    let node = Node::start(&[]);
    drop(node.connect());
    let differing = differences(node.port, OPEN);
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn conversations_behind_a_password() {
    let node = Node::start(&["--requirepass", "secret"]);
    drop(node.connect());
    let differing = differences(node.port, LOCKED);
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// A redis-server of our own.
struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    /// None without redis-server on this machine.
    fn start(options: &[&str]) -> Option<Self> {
        let port = free_port();
        let mut process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", ""])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .inspect_err(|_| {
                let required = std::env::var_os("TINYKV_COMPARE").is_some();
                assert!(
                    !required,
                    "TINYKV_COMPARE is set, and there is no redis-server"
                );
                eprintln!("no redis-server here: nothing to compare with");
            })
            .ok()?;
        let lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let ready = lines
            .map_while(Result::ok)
            .any(|line| line.contains("Ready to accept connections"));
        assert!(ready, "redis-server does not start");
        Some(Self { process, port })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn redis_says_the_same() {
    for (options, conversations) in [(&[][..], OPEN), (&["--requirepass", "secret"][..], LOCKED)] {
        let Some(redis) = Redis::start(options) else {
            return;
        };
        let differing = differences(redis.port, conversations);
        assert!(differing.is_empty(), "{}", differing.join("\n"));
    }
}
