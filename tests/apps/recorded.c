/* Appends a line to the file RECORD when it begins and when it ends, each by one write, so that the lines of many
 * processes never mix. How long it lives and how it ends follow from its run id, so that a test knows both. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void append(const char *record, const char *what, int code)
{
    struct timespec now;
    char line[256];
    int file = open(record, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    clock_gettime(CLOCK_BOOTTIME, &now);
    int length = snprintf(line, sizeof line, "%s %s %s %d %lld %d\n", what, getenv("DC_APP_NAME"), getenv("DC_RUNTIME"),
                          (int)getpid(), now.tv_sec * 1000LL + now.tv_nsec / 1000000, code);
    if (file < 0 || write(file, line, (size_t)length) != length)
        _exit(99);
    close(file);
}

int main(void)
{
    const char *record = getenv("RECORD");
    char digits[9] = "";
    strncpy(digits, getenv("DC_RUNTIME"), 8);
    unsigned long number = strtoul(digits, NULL, 16);
    long life = (long)(number % 400); /* milliseconds */
    unsigned kind = (unsigned)(number / 400 % 100);
    int code = kind < 6 ? (int)(kind + 1) : kind == 6 ? 128 + SIGSEGV : 0;
    append(record, "begins", 0);
    struct timespec pause = {0, life * 1000000};
    nanosleep(&pause, NULL);
    append(record, "ends", code);
    if (code > 128) {
        signal(code - 128, SIG_DFL);
        raise(code - 128);
    }
    return code;
}
