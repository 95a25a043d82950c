/* clock.c - monotonic and wall time, and RFC 3339 without locale or time zone data. */
#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

#define US_PER_S   INT64_C(1000000)
#define S_PER_DAY  INT64_C(86400)
#define US_PER_DAY (S_PER_DAY * US_PER_S)

static int64_t read_us(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * US_PER_S + at.tv_nsec / 1000;
}

uint64_t rz_now_us(void)
{
    return (uint64_t)read_us(CLOCK_MONOTONIC);
}

uint64_t rz_now_ms(void)
{
    return rz_now_us() / 1000;
}

int64_t rz_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

/* ---- the calendar: years begin in March here, so that the leap day is the last of its year, and are counted
 * in eras of 400 years, which all have the same number of days (146,097; 1970-01-01 is day 719,468) ---- */
typedef struct {
    int64_t year, month, day;
} date_t;

static int64_t days_of(date_t date)
{
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static date_t date_of(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    date_t date = { .day = day_of_year - (153 * month + 2) / 5 + 1,
                    .month = month < 10 ? month + 3 : month - 9 };
    date.year = year_of_era + era * 400 + (date.month <= 2);
    return date;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    static const int64_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* ---- writing ---- */

/* Writes `width` decimal digits and returns what is behind them. */
static char *put_digits(char *out, int64_t number, int width)
{
    for (int i = width - 1; i >= 0; i--, number /= 10)
        out[i] = (char)('0' + number % 10);
    return out + width;
}

static char *put_part(char *out, int64_t number, int width, char behind)
{
    out = put_digits(out, number, width);
    *out = behind;
    return out + 1;
}

void rz_rfc3339(int64_t unix_us, char out[RZ_RFC3339_LEN + 1])
{
    const int64_t first = days_of((date_t){ 0, 1, 1 }) * US_PER_DAY;
    const int64_t last = days_of((date_t){ 10000, 1, 1 }) * US_PER_DAY - 1;
    if (unix_us < first) /* four digits cannot say more */
        unix_us = first;
    if (unix_us > last)
        unix_us = last;

    int64_t in_day = (unix_us % US_PER_DAY + US_PER_DAY) % US_PER_DAY;
    date_t date = date_of((unix_us - in_day) / US_PER_DAY);
    int64_t second = in_day / US_PER_S;
    out = put_part(out, date.year, 4, '-');
    out = put_part(out, date.month, 2, '-');
    out = put_part(out, date.day, 2, 'T');
    out = put_part(out, second / 3600, 2, ':');
    out = put_part(out, second / 60 % 60, 2, ':');
    out = put_part(out, second % 60, 2, '.');
    out = put_part(out, in_day % US_PER_S, 6, 'Z');
    *out = '\0';
}

void rz_rfc3339_now(char out[RZ_RFC3339_LEN + 1])
{
    rz_rfc3339(rz_wall_us(), out);
}

/* ---- reading: each take_ moves *at behind what it read, or returns false ---- */

static bool take_digits(const char **at, int width, int64_t *number)
{
    *number = 0;
    for (int i = 0; i < width; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *number = *number * 10 + (**at - '0');
    }
    return true;
}

static bool take_one_of(const char **at, char a, char b)
{
    if (**at != a && **at != b)
        return false;
    (*at)++;
    return true;
}

static bool take_date(const char **at, date_t *date)
{
    return take_digits(at, 4, &date->year) && take_one_of(at, '-', '-') && take_digits(at, 2, &date->month) &&
           take_one_of(at, '-', '-') && take_digits(at, 2, &date->day) && date->month >= 1 &&
           date->month <= 12 && date->day >= 1 && date->day <= days_in_month(date->year, date->month);
}

/* A leap second, :60, counts as the first of the next minute. */
static bool take_time(const char **at, int64_t *second)
{
    int64_t h, m, s;
    if (!take_digits(at, 2, &h) || !take_one_of(at, ':', ':') || !take_digits(at, 2, &m) ||
        !take_one_of(at, ':', ':') || !take_digits(at, 2, &s) || h > 23 || m > 59 || s > 60)
        return false;
    *second = (h * 60 + m) * 60 + s;
    return true;
}

/* None or 1..9 digits; what is finer than a microsecond is dropped. */
static bool take_fraction(const char **at, int64_t *us)
{
    *us = 0;
    if (**at != '.')
        return true;
    (*at)++;
    int n = 0;
    for (int64_t digit; take_digits(at, 1, &digit); n++)
        if (n < 6)
            *us = *us * 10 + digit;
    for (int i = n; i < 6; i++)
        *us *= 10;
    return n >= 1 && n <= 9;
}

static bool take_offset(const char **at, int64_t *second)
{
    *second = 0;
    if (take_one_of(at, 'Z', 'z'))
        return true;
    int64_t sign = **at == '-' ? -1 : 1, h, m;
    if (!take_one_of(at, '+', '-') || !take_digits(at, 2, &h) || !take_one_of(at, ':', ':') ||
        !take_digits(at, 2, &m) || h > 23 || m > 59)
        return false;
    *second = sign * (h * 60 + m) * 60;
    return true;
}

int rz_rfc3339_parse(const char *text, int64_t *unix_us)
{
    date_t date;
    int64_t second, us, offset;
    if (text == NULL || !take_date(&text, &date) || !take_one_of(&text, 'T', 't') ||
        !take_time(&text, &second) || !take_fraction(&text, &us) || !take_offset(&text, &offset) ||
        *text != '\0')
        return -1;
    *unix_us = (days_of(date) * S_PER_DAY + second - offset) * US_PER_S + us;
    return 0;
}
