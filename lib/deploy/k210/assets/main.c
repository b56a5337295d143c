/*
 * Names one picture with the KPU and prints the five likeliest classes: for a kendryte-standalone-sdk that has lib/nncase/v1, which loads
 * kmodel version 5.
 *
 *   1. copy main.c, config.h, model.kmodel and picture.bin (one file of calibration/) to SDK/src/pokedex/
 *   2. mkdir build && cd build
 *   3. cmake .. -DPROJ=pokedex -DTOOLCHAIN=/opt/kendryte-toolchain/bin && make
 *   4. kflash -b 1500000 -p /dev/ttyUSB0 pokedex.bin, and read the serial port at 115200 baud
 *
 * The camera writes planes of red, green and blue bytes with dvp_set_ai_addr(): give kpu_run_kmodel() that buffer for a live picture.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "config.h"
#include "dmac.h"
#include "kpu.h"
#include "plic.h"
#include "sysctl.h"
#include "uarths.h"

/* The assembler looks for the files where the compiler looks for headers: the SDK adds src/pokedex. */
#define EMBED(name, file)                                   \
    __asm__(".section .rodata\n.balign 64\n.global " #name  \
            "\n" #name ":\n.incbin \"" file "\"\n.byte 0\n" \
            ".balign 64\n.text\n");                         \
    extern const uint8_t name[]

EMBED(model_data, "model.kmodel");
EMBED(picture_data, "picture.bin");

static volatile int g_done;
static kpu_model_context_t g_model;

static void on_done(void *userdata)
{
    (void)userdata;
    g_done = 1;
}

int main(void)
{
    sysctl_pll_set_freq(SYSCTL_PLL0, 800000000UL);
    sysctl_pll_set_freq(SYSCTL_PLL1, 400000000UL); /* the KPU's clock */
    sysctl_clock_enable(SYSCTL_CLOCK_AI);
    uarths_init();
    plic_init();
    sysctl_enable_irq();

    if (kpu_load_kmodel(&g_model, model_data) != 0)
    {
        printf("model.kmodel: expected a model that this SDK loads\n");
        return 1;
    }
    uint64_t start = sysctl_get_time_us();
    if (kpu_run_kmodel(&g_model, picture_data, DMAC_CHANNEL5, on_done, NULL) != 0)
    {
        printf("kpu_run_kmodel: expected it to start\n");
        return 1;
    }
    while (!g_done)
        ;
    uint64_t microseconds = sysctl_get_time_us() - start;

    float *logits;
    size_t bytes;
    if (kpu_get_output(&g_model, 0, (uint8_t **)&logits, &bytes) != 0 || bytes != CLASSES * sizeof(float))
    {
        printf("model.kmodel: expected %d classes\n", CLASSES);
        return 1;
    }
    int best[5] = {-1, -1, -1, -1, -1};
    for (int k = 0; k < 5 && k < CLASSES; k++)
    {
        for (int i = 0; i < CLASSES; i++)
        {
            int taken = 0;
            for (int j = 0; j < k; j++)
                taken |= best[j] == i;
            if (!taken && (best[k] < 0 || logits[i] > logits[best[k]]))
                best[k] = i;
        }
    }
    float total = 0;
    for (int i = 0; i < CLASSES; i++)
        total += expf((logits[i] - logits[best[0]]) / TEMPERATURE);
    printf("%lu us\n", (unsigned long)microseconds);
    for (int k = 0; k < 5 && k < CLASSES; k++)
        printf("%.3f class %d\n", expf((logits[best[k]] - logits[best[0]]) / TEMPERATURE) / total, best[k]);
    kpu_model_free(&g_model);
    return 0;
}
