# A guest that writes to all of its pages as fast as it can: a boot sector that clears 41 MiB, then adds one to the first
# byte of each page, sweep by sweep, for ever. `torture.wasm` does the same
# with `--mib 41 --rate 0`. It prints a dot on the first serial port when the first sweep is done.

        .set    MEMORY, 0x200000
        .set    PAGES, 10496
        .set    PAGE, 0x1000
        .set    STACK, 0x7c00
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
        mov     edi, MEMORY
        cld
        xor     eax, eax
        mov     ecx, PAGES * PAGE / 4
        rep stosd
        xor     ebx, ebx                        # sweeps so far

sweep:  mov     edi, MEMORY
next:   inc     byte ptr [edi]
        invlpg  [edi]                           # QEMU 7.2 misses stores to pages that stay in its TLB
        add     edi, PAGE
        cmp     edi, MEMORY + PAGES * PAGE
        jb      next
        inc     ebx
        cmp     ebx, 1
        jne     sweep
        mov     dx, COM1
        mov     al, '.'
        out     dx, al
        mov     al, '\n'
        out     dx, al
        jmp     sweep

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9a000000ffff
        .quad   0x00cf92000000ffff
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt

        .org    510
        .word   0xaa55
