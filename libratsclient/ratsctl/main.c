/* ratsctl: options, one command, an exit code (ratsctl(1)). A client of librats like any other. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/json_head.h"
#include "ratsctl/commands.h"

static void on_interrupt(int number)
{
    (void)number;
    _exit(EXIT_INTERRUPTED);
}

/* Whoever reads our output may stop (head(1)): that ends us, without a word (C16). librats has its
 * own way with sockets that are gone, and its threads block all signals. */
static void set_signals(void)
{
    (void)signal(SIGPIPE, SIG_DFL);
    const struct sigaction action = {.sa_handler = on_interrupt};
    struct sigaction inherited;
    (void)sigaction(SIGINT, NULL, &inherited);
    if (inherited.sa_handler != SIG_IGN) { /* a background job of a script ignores it */
        (void)sigaction(SIGINT, &action, NULL);
    }
}

/* The first option that is neither global nor the command's; OPTION_COUNT when there is none. */
static int find_misplaced(const struct options *options, const struct command *command)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const bool allowed =
            (i < OPT_GLOBAL_COUNT && i != OPT_FORMAT) || (command->options & (1u << i)) != 0;
        if (!allowed && options_have(options, (enum option_id)i)) {
            return i;
        }
    }
    return OPTION_COUNT;
}

static enum exit_code check_usage(const struct options *options, const struct command *command,
                                  int count)
{
    const int misplaced = find_misplaced(options, command);
    if (misplaced != OPTION_COUNT) {
        return report(EXIT_USAGE, "%s has no option %s; see ratsctl %s --help", command->name,
                      option_rows[misplaced].name, command->name);
    }
    if (count < command->min_arguments || count > command->max_arguments) {
        return report(EXIT_USAGE, "%s takes %s; see ratsctl %s --help", command->name,
                      *command->arguments == '\0' ? "no arguments" : command->arguments,
                      command->name);
    }
    return EXIT_DONE;
}

static enum exit_code run(struct ctl *ctl)
{
    const struct options *options = ctl->options;
    const char *name = options_have(options, OPT_VERSION) ? "version" : commands[0].name;
    int named = 0;
    if (options->argument_count > 0 && !options_have(options, OPT_VERSION)) {
        name = options->arguments[0];
        named = 1;
    }
    const struct command *command = command_find(name);
    if (command == NULL) {
        return report(EXIT_USAGE, "there is no command '%s'; see ratsctl --help", name);
    }
    if (options_have(options, OPT_HELP)) {
        help_print(&ctl->output, named ? command : NULL);
        return EXIT_DONE;
    }
    const enum exit_code code = check_usage(options, command, options->argument_count - named);
    if (code != EXIT_DONE) {
        return code;
    }
    session_set_timeout(ctl, false);
    return command->run(ctl, options->arguments + named, options->argument_count - named);
}

int main(int argc, char **argv)
{
    char error[256];
    struct options options;
    set_signals();
    json_head_init();
    rats_set_log_level("ERROR"); /* what goes wrong is said once, by report() */
    if (argc < 1 || options_parse(argc, argv, &options, error, sizeof error) != 0) {
        return (int)report(EXIT_USAGE, "%s; see ratsctl --help",
                           argc < 1 ? "no program name was given" : error);
    }
    struct ctl ctl = {.options = &options};
    output_init(&ctl.output, &options);
    enum exit_code code = run(&ctl);
    session_close(&ctl);
    if (output_finish() != 0 && code == EXIT_DONE) {
        code = report(EXIT_FAILED, "cannot write to standard output: %s", strerror(errno));
    }
    return (int)code;
}
