/* SPDX-License-Identifier: Apache-2.0 */
/* test_lima_parsers.c – what limactl, WSL and Lima's ssh.config say, and what they must not be
 * believed.
 */
#include "test.h"

#include "base/files.h"
#include "base/text.h"
#include "lima/lima.h"

#include <errno.h>

#define LINE_OTHER "{\"name\":\"other\",\"status\":\"Running\",\"sshLocalPort\":60001}\n"
#define LINE_FINCH                                                                                 \
    "{\"name\":\"finch\",\"hostname\":\"lima-finch\",\"status\":\"Running\",\"dir\":\"/x\","       \
    "\"vmType\":\"vz\",\"arch\":\"aarch64\",\"cpus\":4,\"sshLocalPort\":60022,"                    \
    "\"limaVersion\":\"2.1.2\",\"errors\":null}\n"

/* ---- limactl --------------------------------------------------------------------------------- */

static void list(const char *json, struct lima_machine *ret, bool *found)
{
    struct err err = ERR_NONE;

    assert_ok(lima_parse_list(bytes_of_str(json), "finch", ret, found, &err));
}

static void an_instance_is_found_among_others(void **state)
{
    SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
    bool found = false;

    (void)state;
    list(LINE_OTHER "\nwarning: something\n" LINE_FINCH, &machine, &found);
    assert_true(found);
    assert_int_equal(machine.state, LIMA_RUNNING);
    assert_int_equal(machine.ssh_port, 60022);
    assert_string_equal(machine.vm_type, "vz");
    assert_string_equal(machine.arch, "aarch64");
    assert_string_equal(machine.lima_version, "2.1.2");
    assert_null(machine.problem);
}

static void no_line_of_that_name_is_no_instance(void **state)
{
    static const char *const outputs[] = {"",  "\n\n", LINE_OTHER, "[1, 2]\n", "{\"name\":7}\n",
                                          "{", "null"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(outputs); i++) {
        SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
        bool found = true;

        list(outputs[i], &machine, &found);
        assert_false(found);
    }
}

static void every_status_has_a_state(void **state)
{
    static const struct {
        const char *status;
        enum lima_state state;
    } cases[] = {{"Running", LIMA_RUNNING}, {"Stopped", LIMA_STOPPED},
                 {"Broken", LIMA_BROKEN},   {"Uninitialized", LIMA_NONE},
                 {"", LIMA_NONE},           {"Dreaming", LIMA_BROKEN}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
        SCOPED(mem)
        char *json = text_format("{\"name\":\"finch\",\"status\":\"%s\"}", cases[i].status);
        bool found = false;

        list(json, &machine, &found);
        assert_int_equal(machine.state, cases[i].state);
    }
}

static void a_broken_instance_says_why(void **state)
{
    SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
    bool found = false;

    (void)state;
    list("{\"name\":\"finch\",\"status\":\"Broken\",\"errors\":[\"no host agent\",\"two\"]}",
         &machine, &found);
    assert_int_equal(machine.state, LIMA_BROKEN);
    assert_string_equal(machine.problem, "no host agent");
}

static void values_of_other_types_are_not_there(void **state)
{
    SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
    bool found = false;

    (void)state;
    list("{\"name\":\"finch\",\"status\":5,\"sshLocalPort\":\"22\",\"vmType\":[],\"errors\":{}}",
         &machine, &found);
    assert_true(found);
    assert_int_equal(machine.state, LIMA_BROKEN);
    assert_int_equal(machine.ssh_port, 0);
    assert_null(machine.vm_type);
}

static void a_port_that_is_none_is_zero(void **state)
{
    static const char *const ports[] = {"-1", "0", "65536", "1e99"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
        SCOPED(mem)
        char *json = text_format("{\"name\":\"finch\",\"status\":\"Running\",\"sshLocalPort\":%s}",
                                 ports[i]);
        bool found = false;

        list(json, &machine, &found);
        assert_int_equal(machine.ssh_port, 0);
    }
}

/* ---- ssh.config ------------------------------------------------------------------------------ */

/* As Lima writes it. */
static const char lima_text[] = "# This SSH config file can be passed to 'ssh -F'.\n"
                                "Host lima-finch\n"
                                "  IdentityFile \"/Users/a b/lima/data/_config/user\"\n"
                                "  StrictHostKeyChecking no\n"
                                "  UserKnownHostsFile /dev/null\n"
                                "  NoHostAuthenticationForLocalhost yes\n"
                                "  Ciphers \"^aes128-gcm@openssh.com,aes256-gcm@openssh.com\"\n"
                                "  User me\n"
                                "  ControlPath \"/Users/a b/ssh.sock\"\n"
                                "  Hostname 127.0.0.1\n"
                                "  Port 60022\n";

static int parse(const char *text, struct lima_ssh *ret, struct err *err)
{
    return lima_parse_ssh_config(bytes_of_str(text), "lima-finch", ret, err);
}

static void what_lima_writes_is_read(void **state)
{
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse(lima_text, &ssh, &err));
    assert_string_equal(ssh.host, "127.0.0.1");
    assert_int_equal(ssh.port, 60022);
    assert_string_equal(ssh.user, "me");
    assert_string_equal(ssh.identity, "/Users/a b/lima/data/_config/user");
    assert_null(ssh.known_hosts);
}

static void sections_of_other_hosts_say_nothing(void **state)
{
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("Host other !lima-finch lima-*\n User wrong\nHost \"lima-fin*\"\n "
                    "Hostname=h\r\n User right\n"
                    " IdentityFile k\n StrictHostKeyChecking off\nMatch all\n Port 9\n",
                    &ssh, &err));
    assert_string_equal(ssh.user, "right");
    assert_string_equal(ssh.host, "h");
    assert_int_equal(ssh.port, 22);
}

static void the_first_value_wins(void **state)
{
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse(
        "Hostname h\nUser a\nUser b\nPort 1\nPort 2\nIdentityFile k\nStrictHostKeyChecking no\n",
        &ssh, &err));
    assert_string_equal(ssh.user, "a");
    assert_int_equal(ssh.port, 1);
}

static void keys_are_checked_unless_lima_says_no(void **state)
{
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};
    SCOPED(lima_ssh) struct lima_ssh none = {.port = 0};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(parse("Hostname h\nUser a\nIdentityFile k\nUserKnownHostsFile /k/h\n", &ssh, &err));
    assert_string_equal(ssh.known_hosts, "/k/h");
    assert_int_equal(parse("Hostname h\nUser a\nIdentityFile k\n", &none, &err), -EBADMSG);
}

static void what_is_missing_or_senseless_is_named(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "UserKnownHostsFile"},
        {"StrictHostKeyChecking no\n", "no Hostname"},
        {"StrictHostKeyChecking no\nHostname h\n", "no User"},
        {"StrictHostKeyChecking no\nHostname h\nUser u\n", "no IdentityFile"},
        {"Port 0\n", "line 1: Port 0"},
        {"\nPort x\n", "line 2: Port x"},
        {"Port 65536\n", "Port 65536"},
        {"StrictHostKeyChecking no\nHostname h\nUser \"u\nIdentityFile k\n", "no User"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};
        struct err err = ERR_NONE;

        assert_int_equal(parse(cases[i].text, &ssh, &err), -EBADMSG);
        assert_non_null(strstr(err_text(&err), cases[i].says));
    }
}

static void single_quotes_are_quotes_as_lima_has_them_on_windows(void **state)
{
    static const char text[] = "Host lima-finch\r\n"
                               "  IdentityFile '/c/Program Files/Finch/lima/data/_config/user'\r\n"
                               "  User 'o\"k'\r\n"
                               "  Hostname 127.0.0.1\r\n"
                               "  StrictHostKeyChecking no\r\n  Port 22\r\n";
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};

    (void)state;
    assert_ok(lima_parse_ssh_config(bytes_of_str(text), "lima-finch", &ssh, NULL));
    assert_string_equal(ssh.identity, "/c/Program Files/Finch/lima/data/_config/user");
    assert_string_equal(ssh.user, "o\"k");
    assert_int_equal(ssh.port, 22);
}

static void brackets_are_no_patterns_but_stars_and_question_marks_are(void **state)
{
    SCOPED(lima_ssh) struct lima_ssh ssh = {.port = 0};
    struct err err = ERR_NONE;

    (void)state;
    assert_ok(lima_parse_ssh_config(
        bytes_of_str("Host [l]ima-finch\n User wrong\nHost li*-?inc*h\n User u\n"
                     "Host *\n Hostname h\n IdentityFile i\n Port 2\n"
                     " StrictHostKeyChecking no\n"),
        "lima-finch", &ssh, &err));
    assert_string_equal(ssh.user, "u");
}

/* ---- WSL ------------------------------------------------------------------------------------- */

/* Of a vector. */
static void assert_distribution(void **state, const char *vector, const char *name,
                                enum lima_state wanted)
{
    SCOPED(buf_value) struct buf text = BUF_EMPTY;
    SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
    struct err err = ERR_NONE;
    bool found = false;

    (void)state;
    assert_ok(file_read(vector, 65536, &text, NULL));
    assert_ok(lima_parse_wsl_list(buf_bytes(&text), name, &machine, &found, &err));
    assert_int_equal(found, wanted != LIMA_NONE);
    assert_int_equal(machine.state, wanted);
    if (found)
        assert_string_equal(machine.vm_type, "wsl2");
}

#define LIMA_VECTOR(name) VECTORS_DIR "/lima/" name

static void a_distribution_is_found_whatever_it_is_written_in(void **state)
{
    assert_distribution(state, LIMA_VECTOR("wsl-running.utf16"), "lima-finch", LIMA_RUNNING);
    assert_distribution(state, LIMA_VECTOR("wsl-running.utf8"), "lima-finch", LIMA_RUNNING);
    assert_distribution(state, LIMA_VECTOR("wsl-stopped-marked.utf16"), "lima-finch", LIMA_STOPPED);
    assert_distribution(state, LIMA_VECTOR("wsl-running.utf16"), "Ubuntu-22.04", LIMA_RUNNING);
    assert_distribution(state, LIMA_VECTOR("wsl-running.utf16"), "docker-desktop", LIMA_STOPPED);
}

static void a_distribution_of_another_name_is_not_ours(void **state)
{
    static const char *const names[] = {"lima-finc", "lima-finch2", "NAME", "*",
                                        "2",         "Running",     ""};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_distribution(state, LIMA_VECTOR("wsl-running.utf16"), names[i], LIMA_NONE);
        assert_distribution(state, LIMA_VECTOR("wsl-running.utf8"), names[i], LIMA_NONE);
    }
}

static int distribution(const char *text, struct lima_machine *ret, bool *found)
{
    struct err err = ERR_NONE;

    return lima_parse_wsl_list(bytes_of_str(text), "lima-finch", ret, found, &err);
}

static void a_state_of_wsl_that_is_none_of_a_machine_is_told(void **state)
{
    static const char *const lines[] = {"  lima-finch  Uninstalling  2\r\n",
                                        "* lima-finch  Wird ausgef\xc3\xbchrt  2\n",
                                        "lima-finch running 2"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
        bool found = false;

        assert_ok(distribution(lines[i], &machine, &found));
        assert_true(found);
        assert_int_equal(machine.state, LIMA_BROKEN);
        assert_non_null(strstr(machine.problem, "WSL says"));
    }
}

static void what_is_no_list_of_distributions_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "\n\n",
        "Windows Subsystem for Linux has no installed distributions.\r\n",
        "  NAME  STATE  VERSION\r\n",
        "  lima-finch  Running\r\n",
        "  lima-finch  2\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
        bool found = true;

        assert_int_equal(distribution(texts[i], &machine, &found), -EBADMSG);
        assert_false(found);
    }
}

static void a_list_that_was_cut_says_what_came(void **state)
{
    assert_distribution(state, LIMA_VECTOR("wsl-bad-half-a-unit.utf16"), "docker-desktop",
                        LIMA_STOPPED);
    assert_distribution(state, LIMA_VECTOR("wsl-bad-half-a-unit.utf16"), "lima-finch", LIMA_NONE);
}

static void an_address_that_is_no_address_is_not_there(void **state)
{
    static const struct {
        const char *said, *address;
    } cases[] = {{"172.28.1.2", "172.28.1.2"}, {"fe80::1", "fe80::1"}, {"", NULL},
                 {"-oProxyCommand=x", NULL},   {"a host", NULL},       {"127.0.0.1 ", NULL}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        SCOPED(lima_machine) struct lima_machine machine = {.state = LIMA_NONE};
        SCOPED(mem)
        char *json = text_format("{\"name\":\"finch\",\"sshAddress\":\"%s\"}", cases[i].said);
        bool found = false;

        list(json, &machine, &found);
        if (cases[i].address == NULL)
            assert_null(machine.ssh_address);
        else
            assert_string_equal(machine.ssh_address, cases[i].address);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_instance_is_found_among_others),
        cmocka_unit_test(no_line_of_that_name_is_no_instance),
        cmocka_unit_test(every_status_has_a_state),
        cmocka_unit_test(a_broken_instance_says_why),
        cmocka_unit_test(single_quotes_are_quotes_as_lima_has_them_on_windows),
        cmocka_unit_test(brackets_are_no_patterns_but_stars_and_question_marks_are),
        cmocka_unit_test(values_of_other_types_are_not_there),
        cmocka_unit_test(a_port_that_is_none_is_zero),
        cmocka_unit_test(what_lima_writes_is_read),
        cmocka_unit_test(sections_of_other_hosts_say_nothing),
        cmocka_unit_test(the_first_value_wins),
        cmocka_unit_test(keys_are_checked_unless_lima_says_no),
        cmocka_unit_test(what_is_missing_or_senseless_is_named),
        cmocka_unit_test(a_distribution_is_found_whatever_it_is_written_in),
        cmocka_unit_test(a_distribution_of_another_name_is_not_ours),
        cmocka_unit_test(a_state_of_wsl_that_is_none_of_a_machine_is_told),
        cmocka_unit_test(what_is_no_list_of_distributions_is_refused),
        cmocka_unit_test(a_list_that_was_cut_says_what_came),
        cmocka_unit_test(an_address_that_is_no_address_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
