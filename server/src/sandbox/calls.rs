//! System calls that a synchroniser has no use for, and somebody who got into it would have: they fail with `EPERM`.
//!
//! A list of what is denied, and not of what is allowed: a C library or a kernel that is newer than this list must not end a run
//! in the middle of a batch. What files may be opened is Landlock's to say.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Calls that not every list of numbers has; but for the first, they are alike on every processor.
const KEXEC_FILE_LOAD: i64 = if cfg!(target_arch = "x86_64") { 320 } else { 294 };
const QUOTACTL_FD: i64 = 443;
const MEMFD_SECRET: i64 = 447;
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const OPEN_TREE_ATTR: i64 = 467;
const FILE_SETATTR: i64 = 469;

/// Denied whatever their arguments.
const DENIED: &[i64] = &[
    // Programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Other processes.
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setattr,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // Connections.
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    // Shared memory and queues.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_mq_timedsend,
    libc::SYS_mq_timedreceive,
    libc::SYS_mq_notify,
    // What files there are and whose: devices, links, owners, what is done by a path that need not be opened; other names of the
    // file system.
    libc::SYS_mknodat,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    FCHMODAT2,
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_memfd_create,
    MEMFD_SECRET,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_quotactl,
    QUOTACTL_FD,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    // Who this is.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_personality,
    // Parts of the kernel that have been its weakest, and what belongs to its administrator.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_setup,
    libc::SYS_io_submit,
    libc::SYS_userfaultfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_vmsplice,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
];

/// The same, of calls that only some processors have.
#[cfg(target_arch = "x86_64")]
const OLD: &[i64] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_mknod,
    libc::SYS_symlink,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_chmod,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_setrlimit,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS__sysctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[i64] = &[];

/// Added to a number by a program of the x32 kind, which kernels of this processor may know; 512 to 547 are its own.
const X32: i64 = 0x4000_0000;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn when(argument: u8, length: Len, operator: Op, value: u64) -> Result<Vec<SeccompRule>, Error> {
    Ok(vec![SeccompRule::new(vec![SeccompCondition::new(argument, length, operator, value)?])?])
}

/// The rules of what is denied.
fn denied(own: u32) -> Result<Rules, Error> {
    let mut rules: Rules = DENIED.iter().chain(OLD).map(|call| (*call, Vec::new())).collect();
    // Threads may be started, and processes not.
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, when(0, Len::Dword, Op::MaskedEq(thread), 0)?);
    // A process that aborts sends itself the signal.
    rules.insert(libc::SYS_tgkill, when(0, Len::Dword, Op::Ne, own.into())?);
    // Limits may be asked for, and not set.
    rules.insert(libc::SYS_prlimit64, when(2, Len::Qword, Op::Ne, 0)?);
    // Times are set of files that are open, without a path.
    rules.insert(libc::SYS_utimensat, when(1, Len::Qword, Op::Ne, 0)?);
    // Typing into the terminal of whoever started this.
    let typing: Result<Vec<_>, Error> = [libc::TIOCSTI, libc::TIOCLINUX]
        .into_iter()
        .map(|request| when(1, Len::Dword, Op::Eq, u64::from(request as u32)))
        .collect();
    rules.insert(libc::SYS_ioctl, typing?.into_iter().flatten().collect());
    if cfg!(target_arch = "x86_64") {
        let numbers: Vec<i64> = rules.keys().copied().chain(512..548).collect();
        rules.extend(numbers.into_iter().map(|call| (call | X32, Vec::new())));
    }
    Ok(rules)
}

fn apply(rules: Rules, errno: i32) -> Result<(), Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch)?;
    let program: BpfProgram = filter.try_into()?;
    apply_filter(&program)
}

/// Denies them from now on to this thread and those that it starts.
pub(super) fn deny() -> Result<(), Error> {
    // Its arguments cannot be looked at. C libraries that are told that there is no such call use the one that can.
    apply(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?;
    apply(denied(std::process::id())?, libc::EPERM)
}
