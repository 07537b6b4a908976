# A guest for tests with QEMU: a boot sector whose memory shows at any moment whether a page is missing, old or misplaced.
#
# It fills the pages from MEMORY on, so that each four bytes hold their own address. Then it sweeps over them for ever. A
# sweep adds one to the first byte of each page, which was 0, and turns over the first byte of each page behind: those are
# zeros after every second sweep. A timer interrupt lets it go on for PAGES_PER_TICK pages, and it sleeps in between; so
# pages become dirty at a rate of their own, and it stands still if the interrupt controller or the timer is not moved
# well. After each sweep it prints the number of sweeps so far, eight hexadecimal digits and a newline, on the first
# serial port.
#
# The test knows these figures too: src/qemu/edge-guest.ts.

        .set    MEMORY, 0x200000
        .set    COUNTED_PAGES, 2816
        .set    FLICKERING_PAGES, 64
        .set    PAGES_PER_TICK, 64
        .set    PAGE, 0x1000
        .set    TIMER_DIVISOR, 1193182 / 250    # 250 ticks a second

        .set    STACK, 0x7c00
        .set    IDT, 0x8000
        .set    TIMER_VECTOR, 8                 # where the BIOS has left it
        .set    CODE, 8
        .set    DATA, 16
        .set    COM1, 0x3f8

        .intel_syntax noprefix
        .code16
        .globl  _start
_start: cli
        xor     ax, ax
        mov     ds, ax
        in      al, 0x92                        # A20 on
        or      al, 2
        and     al, 0xfe
        out     0x92, al
        lgdt    gdt_pointer
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     CODE:protected

        .code32
protected:
        mov     ax, DATA
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     esp, STACK

        mov     eax, offset on_tick             # below 64 KiB: its upper half is 0
        or      eax, CODE << 16
        mov     [IDT + TIMER_VECTOR * 8], eax
        mov     dword ptr [IDT + TIMER_VECTOR * 8 + 4], 0x8e00
        lidt    idt_pointer

        mov     al, 0xfe                        # no interrupt but the timer's
        out     0x21, al
        mov     al, 0xff
        out     0xa1, al
        mov     al, 0x34                        # channel 0, rate generator
        out     0x43, al
        mov     al, TIMER_DIVISOR & 0xff
        out     0x40, al
        mov     al, TIMER_DIVISOR >> 8
        out     0x40, al

        mov     edi, MEMORY
        cld
fill:   mov     eax, edi
        stosd
        cmp     edi, MEMORY + COUNTED_PAGES * PAGE
        jb      fill
        xor     ebx, ebx                        # sweeps so far
        sti

sweep:  mov     edi, MEMORY
        mov     ecx, PAGES_PER_TICK
next:   cmp     edi, MEMORY + COUNTED_PAGES * PAGE
        jae     flicker
        inc     byte ptr [edi]
        jmp     done
flicker:
        xor     byte ptr [edi], 0xff
done:   invlpg  [edi]                           # QEMU 7.2 misses stores to pages that stay in its TLB
        add     edi, PAGE
        dec     ecx
        jnz     go_on
        hlt
        mov     ecx, PAGES_PER_TICK
go_on:  cmp     edi, MEMORY + (COUNTED_PAGES + FLICKERING_PAGES) * PAGE
        jb      next

        inc     ebx
        mov     esi, 8                          # digits
digit:  rol     ebx, 4
        mov     eax, ebx
        and     al, 0x0f
        cmp     al, 10
        sbb     al, 0x69                        # 0..15 -> '0'..'9', 'A'..'F'
        das
        call    print
        dec     esi
        jnz     digit
        mov     al, '\n'
        call    print
        jmp     sweep

print:  mov     ah, al
        mov     dx, COM1 + 5
wait:   in      al, dx                          # until the transmitter is empty
        test    al, 0x20
        jz      wait
        mov     dx, COM1
        mov     al, ah
        out     dx, al
        ret

on_tick:
        push    eax
        mov     al, 0x20
        out     0x20, al
        pop     eax
        iret

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9a000000ffff
        .quad   0x00cf92000000ffff
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt
idt_pointer:
        .word   (TIMER_VECTOR + 1) * 8 - 1
        .long   IDT

        .org    510
        .word   0xaa55
