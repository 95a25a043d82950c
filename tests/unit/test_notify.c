/* test_notify.c - datagrams to a service manager. */
#include "base/notify.h"

#include "../facts.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Listens as a manager does; the name that $NOTIFY_SOCKET then has. */
static int listen_as(const char *name, bool abstract)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path + abstract, sizeof address.sun_path - 1, "%s", name);
    size_t size = offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, (socklen_t)size), 0);
    return fd;
}

static void expect(int fd, const char *text)
{
    char got[256];
    ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    got[n] = '\0';
    assert_string_equal(got, text);
    close(fd);
}

static void a_state_is_one_datagram_to_the_named_socket(void **state)
{
    (void)state;
    char dir[] = "/tmp/rz-notify-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/socket", dir);
    int fd = listen_as(path, false);
    setenv("NOTIFY_SOCKET", path, 1);
    assert_true(rz_notify("READY=1"));
    expect(fd, "READY=1");
    unlink(path);
    rmdir(dir);
}

static void an_abstract_socket_is_named_with_an_at_sign(void **state)
{
    (void)state;
    char name[64], variable[70];
    snprintf(name, sizeof name, "rz-notify-%d", (int)getpid());
    snprintf(variable, sizeof variable, "@%s", name);
    int fd = listen_as(name, true);
    setenv("NOTIFY_SOCKET", variable, 1);
    assert_true(rz_notify("WATCHDOG=1\nSTATUS=well"));
    expect(fd, "WATCHDOG=1\nSTATUS=well");
}

static void without_a_manager_nothing_is_said(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_false(rz_notify("READY=1"));
    setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    assert_false(rz_notify("READY=1"));
    setenv("NOTIFY_SOCKET", "relative", 1);
    assert_false(rz_notify("READY=1"));
}

static void the_watchdog_is_fed_twice_as_often_as_it_bites(void **state)
{
    (void)state;
    char pid[16];
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(rz_notify_interval_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(rz_notify_interval_ms(), 15000);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(rz_notify_interval_ms(), 15000);
    setenv("WATCHDOG_PID", "1", 1); /* another process is meant */
    assert_int_equal(rz_notify_interval_ms(), 0);
}

/* What is due, "" when nothing is. */
static void due(rz_notice_t *told, bool ready, bool progress, const char *status, const char *expected)
{
    char out[RZ_NOTICE_MAX];
    assert_int_equal(rz_notice(told, ready, progress, status, out), *expected != '\0');
    assert_string_equal(out, expected);
}

static void a_notice_tells_what_is_new_and_progress_each_time(void **state)
{
    (void)state;
    rz_notice_t told = { 0 };
    due(&told, false, true, "waiting", "STATUS=waiting\nWATCHDOG=1");
    due(&told, false, true, "waiting", "WATCHDOG=1");
    due(&told, true, true, "well", "READY=1\nSTATUS=well\nWATCHDOG=1");
    due(&told, true, false, "well", "");
    due(&told, false, false, "ill", "STATUS=ill");
    due(&told, true, false, "well", "STATUS=well"); /* ready again is nothing to a manager */
}

static void a_status_is_one_line_and_cut(void **state)
{
    (void)state;
    rz_notice_t told = { 0 };
    char text[2 * RZ_STATUS_MAX], expected[RZ_NOTICE_MAX];
    due(&told, false, false, "ill\nREADY=1", "STATUS=ill");
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    snprintf(expected, sizeof expected, "STATUS=%.*s", RZ_STATUS_MAX - 1, text);
    due(&told, false, false, text, expected);
}

/* clang-format off */
static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_state_is_one_datagram_to_the_named_socket),
    cmocka_unit_test(an_abstract_socket_is_named_with_an_at_sign),
    cmocka_unit_test(without_a_manager_nothing_is_said),
    cmocka_unit_test(the_watchdog_is_fed_twice_as_often_as_it_bites),
    cmocka_unit_test(a_notice_tells_what_is_new_and_progress_each_time),
    cmocka_unit_test(a_status_is_one_line_and_cut),
};
/* clang-format on */

RZ_FACTS(tests)
