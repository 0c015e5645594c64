use std::os::unix::net::{UnixListener, UnixStream};

use rustix::process::{getegid, geteuid};

use super::*;
use crate::peer::test_process::{
    AS_OTHER_USER, CONNECT, OTHER_USER, Peer, Socket, can_run, inside, is_inside,
};

/// The listener that is the test's standard input.
fn inherited() -> UnixListener {
    UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap())
}

#[test]
fn a_process_is_known_by_its_ids() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let process = of(&ours, false).unwrap();
    assert_eq!(process.uid, known(geteuid().as_raw()));
    assert_eq!(process.gid, known(getegid().as_raw()));
    assert_eq!(process.pid, Some(std::process::id().cast_signed()));
    assert_eq!(process.unit, None);
}

#[test]
fn what_no_process_has_connected_belongs_to_nobody() {
    let socket = Socket::bind();
    // A listening socket has the ids of its own process.
    assert_eq!(of(&socket.listener, false).unwrap().uid, known(geteuid().as_raw()));
    let unconnected = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        None,
    );
    assert!(of(&unconnected.unwrap(), true).is_err());
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(of(&tcp, true).is_err());
}

#[test]
fn another_user_has_their_own_groups_and_not_nogroup() {
    if !can_run(&AS_OTHER_USER) {
        return;
    }
    let socket = Socket::bind();
    let peer = Peer::start(&AS_OTHER_USER, CONNECT, &[&socket.path()]);
    let process = of(&socket.accept(), false).unwrap();
    let expected = Process {
        uid: Some(OTHER_USER),
        gid: Some(61235),
        groups: vec![61236, 61237],
        pid: Some(peer.pid()),
        unit: None,
    };
    assert_eq!(process, expected);
}

#[test]
fn a_user_with_many_groups_has_all_of_them() {
    let groups: Vec<u32> = (70000..70500).collect();
    let list: Vec<String> = groups.iter().map(u32::to_string).collect();
    let list = format!("--groups={}", list.join(","));
    let command = ["setpriv", "--reuid=61234", "--regid=61235", &list];
    if !can_run(&command) {
        return;
    }
    let socket = Socket::bind();
    let _peer = Peer::start(&command, CONNECT, &[&socket.path()]);
    assert_eq!(of(&socket.accept(), false).unwrap().groups, groups);
}

#[test]
fn root_of_a_user_namespace_is_the_user_who_made_it() {
    let command = [&AS_OTHER_USER[..3], &["--clear-groups", "unshare", "-U", "-r"]].concat();
    if !can_run(&command) {
        return;
    }
    let socket = Socket::bind();
    let _peer = Peer::start(&command, CONNECT, &[&socket.path()]);
    assert_eq!(of(&socket.accept(), false).unwrap().uid, Some(OTHER_USER));
}

#[test]
fn a_user_without_an_id_in_this_namespace_is_unknown() {
    let unshare = ["unshare", "-U", "-r"];
    let can_run = is_inside() || (can_run(&AS_OTHER_USER) && can_run(&unshare));
    if !can_run {
        return;
    }
    let socket = (!is_inside()).then(Socket::bind);
    let peer =
        socket.as_ref().map(|socket| Peer::start(&AS_OTHER_USER, CONNECT, &[&socket.path()]));
    let input = socket.as_ref().map(|socket| socket.listener.try_clone().unwrap().into());
    inside(&unshare, input, || {
        let process = of(&inherited().accept().unwrap().0, false).unwrap();
        assert_eq!((process.uid, process.gid, process.groups), (None, None, Vec::new()));
        assert!(process.pid.is_some());
    });
    drop(peer);
}

#[test]
fn a_process_that_is_not_visible_in_this_namespace_has_no_id_and_no_unit() {
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc"];
    if !is_inside() && !can_run(&unshare) {
        return;
    }
    let socket = (!is_inside()).then(Socket::bind);
    let peer = socket.as_ref().map(|socket| Peer::start(&["env"], CONNECT, &[&socket.path()]));
    let input = socket.as_ref().map(|socket| socket.listener.try_clone().unwrap().into());
    inside(&unshare, input, || {
        let process = of(&inherited().accept().unwrap().0, true).unwrap();
        assert_eq!((process.uid, process.pid, process.unit), (Some(0), None, None));
    });
    drop(peer);
}

#[test]
fn a_child_that_inherits_a_connection_acts_as_its_parent() {
    let script = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!;\
        if (!fork) { $< = $> = 61234; syswrite($s, $$); sysread($s, my $b, 1); exit } <STDIN>";
    if !can_run(&["env"]) {
        return;
    }
    let socket = Socket::bind();
    let peer = Peer::start(&["env"], script, &[&socket.path()]);
    let mut stream = socket.accept();
    std::io::Read::read_exact(&mut stream, &mut [0]).unwrap();
    let process = of(&stream, false).unwrap();
    assert_eq!((process.uid, process.pid), (Some(0), Some(peer.pid())));
}
