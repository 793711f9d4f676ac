#include "ratsctl/interrupt.h"

#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "ratsctl/report.h"

static volatile sig_atomic_t catching;
static volatile sig_atomic_t caught;

static void on_interrupt(int number)
{
    (void)number;
    if (caught != 0) {
        _exit(EXIT_INTERRUPTED);
    }
    caught = 1;
}

void interrupt_catch(void)
{
    const struct sigaction action = {.sa_handler = on_interrupt};
    struct sigaction inherited;
    if (sigaction(SIGINT, NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN) {
        catching = sigaction(SIGINT, &action, NULL) == 0;
    }
}

bool interrupt_caught(void)
{
    return caught != 0;
}

/* Between the look at the flag and the wait the signal is held back: only the wait lets it in. */
bool interrupt_wait(int fd, int timeout_ms)
{
    sigset_t held;
    sigset_t before;
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    const struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                                     .tv_nsec = (timeout_ms % 1000) * 1000000L};
    if (catching == 0) {
        return false;
    }
    (void)sigemptyset(&held);
    (void)sigaddset(&held, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &held, &before);
    if (caught == 0) {
        (void)ppoll(&readable, 1, &timeout, &before);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return true;
}
