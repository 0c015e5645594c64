use super::*;
use crate::peer::test_process::{
    CONNECT, Peer, Socket, can_run, control_group, in_mount_namespace, inside, is_inside, skip,
};

fn connected(command: &[&str]) -> (Peer, Socket, UnixStream) {
    let socket = Socket::bind();
    let peer = Peer::start(command, CONNECT, &[&socket.path()]);
    let stream = socket.accept();
    (peer, socket, stream)
}

fn unit(stream: &UnixStream) -> Result<String, NoUnit> {
    of_peer(stream.as_fd(), sockopt::credentials(stream.as_fd()).unwrap())
}

#[test]
fn the_unit_of_a_living_process_is_proven_with_and_without_a_handle() {
    let Some(group) = control_group() else { return };
    let command = group.command();
    let (mut peer, _socket, stream) = connected(&command.each_ref().map(String::as_str));
    assert_eq!(unit(&stream).as_ref(), Ok(&group.unit));
    let credentials = sockopt::credentials(stream.as_fd()).unwrap();
    assert_eq!(credentials.pid, peer.pid());
    let by_start_time = || by_start_time(credentials, |path| procfs().unwrap().read(path));
    assert_eq!(by_start_time().as_ref(), Ok(&group.unit));
    peer.end();
    assert_eq!(unit(&stream), Err(NoUnit::Ended));
    assert!(matches!(by_start_time(), Err(NoUnit::Unreadable(_))));
}

#[test]
fn a_process_that_gets_the_id_of_an_ended_one_does_not_lend_it_its_unit() {
    let Some(group) = control_group() else { return };
    let (mut peer, _socket, stream) = connected(&["env"]);
    peer.end();
    let command = group.command();
    let command = command.each_ref().map(String::as_str);
    let last = format!("{}", peer.pid() - 1);
    for _ in 0..200 {
        if std::fs::write("/proc/sys/kernel/ns_last_pid", &last).is_err() {
            break;
        }
        let (other, _socket, to_other) = connected(&command);
        if other.pid() == peer.pid() {
            assert_eq!(unit(&to_other).as_ref(), Ok(&group.unit));
            assert_eq!(unit(&stream), Err(NoUnit::Ended));
            return;
        }
    }
    skip("process ids cannot be chosen");
}

#[test]
fn a_process_that_ended_before_it_was_waited_for_has_no_unit() {
    let Some(group) = control_group() else { return };
    let socket = Socket::bind();
    let command = group.command();
    let script = "use IO::Socket::UNIX; IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!";
    let _peer = Peer::start(&command.each_ref().map(String::as_str), script, &[&socket.path()]);
    let mut stream = socket.accept();
    // Its end closes the connection; then its state becomes that of a zombie.
    std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    let pidfd = sockopt::pidfd(stream.as_fd()).unwrap();
    let Some(pidfd) = pidfd else { return skip("it needs Linux 6.5") };
    let mut descriptors = [PollFd::new(&pidfd, PollFlags::IN)];
    rustix::event::poll(&mut descriptors, None).unwrap();
    assert_eq!(unit(&stream), Err(NoUnit::Ended));
    let credentials = sockopt::credentials(stream.as_fd()).unwrap();
    let by_start_time = by_start_time(credentials, |path| procfs().unwrap().read(path));
    assert_eq!(by_start_time, Err(NoUnit::Ended));
}

#[test]
fn a_child_that_inherits_a_connection_has_the_unit_of_its_parent_while_that_lives() {
    let Some(group) = control_group() else { return };
    let socket = Socket::bind();
    let command = group.command();
    // The child leaves the group, and outlives the parent.
    let script = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!;\
        if (!fork) { open(my $g, '>', $ARGV[1]) or die $!; syswrite($g, $$) or die $!; \
        syswrite($s, 'x'); sysread($s, my $b, 1); exit } <STDIN>";
    let (path, outside) = (socket.path(), group.outside());
    let arguments = [path.as_str(), outside.to_str().unwrap()];
    let mut peer = Peer::start(&command.each_ref().map(String::as_str), script, &arguments);
    let mut stream = socket.accept();
    std::io::Read::read_exact(&mut stream, &mut [0]).unwrap();
    assert_eq!(unit(&stream).as_ref(), Ok(&group.unit));
    peer.end();
    assert_eq!(unit(&stream), Err(NoUnit::Ended));
}

#[test]
fn a_process_outside_of_all_units_has_none() {
    let (_peer, _socket, stream) = connected(&["env"]);
    match unit(&stream) {
        Err(NoUnit::NotInUnit) => {}
        // The tests themselves run in one.
        Ok(unit) => assert!(unit.ends_with(".service") || unit.ends_with(".scope"), "{unit}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_process_of_another_pid_namespace_has_no_unit() {
    let unshare = ["unshare", "--pid", "--fork"];
    if !is_inside() && !can_run(&unshare) {
        return;
    }
    // /proc remains that of the outer namespace, where each process has another id.
    inside(&unshare, None, || {
        let (_peer, _socket, stream) = connected(&["env"]);
        assert_eq!(unit(&stream), Err(NoUnit::OtherNamespace));
    });
}

#[test]
fn a_unit_in_a_directory_that_is_mounted_over_proc_proves_nothing() {
    let mount = "mkdir -p $D/1 $D/self/fdinfo && mount --bind $D /proc";
    in_mount_namespace(mount, || {
        let (_peer, _socket, stream) = connected(&["env"]);
        assert!(matches!(unit(&stream), Err(NoUnit::Unreadable(_))));
        assert!(check().unwrap_err().help().is_some());
    });
}

const PEER: Credentials = Credentials { pid: 7, uid: 1000, gid: 1000 };

/// Files of process 7, with a different `stat` each time it is read.
fn files<'a>(stats: &'a [&'a str], uids: &'a str) -> impl Fn(&str) -> io::Result<String> + 'a {
    let next = std::cell::Cell::new(0);
    move |path| match path {
        "7/stat" => Ok(stats[next.replace(next.get() + 1)].to_owned()),
        "7/status" => Ok(format!("Name:\tx\nUid:\t{uids}\nGid:\t1\t1\t1\t1\n")),
        "7/cgroup" => Ok("0::/system.slice/web.service\n".to_owned()),
        other => panic!("{other}"),
    }
}

fn stat(name: &str, state: &str, start: u64) -> String {
    format!("7 ({name}) {state} 1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 {start} 9 9 9")
}

#[test]
fn without_a_handle_the_process_must_be_the_same_before_and_after() {
    let own = "1000\t1000\t1000\t1000";
    let (first, second) = (stat("web", "S", 100), stat("web", "S", 101));
    let by = |stats: &[&str], uids| by_start_time(PEER, files(stats, uids));
    assert_eq!(by(&[&first, &first], own).as_deref(), Ok("web.service"));
    assert_eq!(by(&[&first, &second], own), Err(NoUnit::Ended));
    let zombie = stat("web", "Z", 100);
    assert_eq!(by(&[&zombie, &zombie], own), Err(NoUnit::Ended));
    assert_eq!(by(&[&first, &zombie], own), Err(NoUnit::Ended));
    // Its effective user counts.
    assert_eq!(by(&[&first, &first], "0\t1000\t0\t0").as_deref(), Ok("web.service"));
    assert_eq!(by(&[&first, &first], "1000\t0\t1000\t1000"), Err(NoUnit::Ended));
    assert_eq!(by(&[&first, &first], ""), Err(NoUnit::Ended));
}

#[test]
fn the_name_of_a_program_does_not_change_its_start_time() {
    for name in ["web", "a b", ") S 1 1 1", "x) Z (", "\n"] {
        assert_eq!(start_time(&stat(name, "S", 100)), Some(100), "{name:?}");
    }
    for malformed in ["", "7 (web)", "7 (web) S", "7 (web) S 1 7 7"] {
        assert_eq!(start_time(malformed), None);
    }
}

#[test]
fn units_of_other_processes_can_be_proven_on_this_machine() {
    if let Err(error) = check() {
        assert!(error.help().is_some(), "{error}");
        skip(&error.to_string());
    }
}
